#pragma once

#include <spdlog/sinks/sink.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "penstock/telemetry/log_channel.hpp"

namespace penstock::telemetry {

/// Owned by the log thread; lost() is for anybody. A spdlog sink over a descriptor: lines are gathered and
/// written when flush() is called or 64 KiB have come together.
///
/// spdlog's own file and stderr sinks sit on stdio: one that hangs in fwrite() on a blocked pipe cannot be
/// told to end, and one that meets a full disk throws for each line and leaves half a line behind. This one
/// waits in poll(), where the doorbell reaches it, writes to a pipe no more than poll() promised, and after a
/// torn line begins a new one.
class DescriptorSink final : public spdlog::sinks::sink {
 public:
  /// What to do while the reader of a pipe takes nothing: stand still, so that the rings do the buffering; or
  /// hold back one batch, drop what comes on top, and let the other sink go on.
  enum class Blocked : std::uint8_t { kWait, kHoldBack };

  /// A descriptor that somebody else owns. `stopping`: when set and rung for, a wait ends after half a
  /// second.
  DescriptorSink(int fd, Blocked blocked, LogDoorbell& bell, const std::atomic<bool>& stopping);
  /// A file, appended to; nullptr with errno when it cannot be opened.
  static std::unique_ptr<DescriptorSink> OpenFile(std::string path, LogDoorbell& bell,
                                                  const std::atomic<bool>& stopping);
  ~DescriptorSink() override;

  void log(const spdlog::details::log_msg& message) override;  ///< the payload and an end of line
  void flush() override;
  void set_pattern(const std::string&) override {}  // lines come formatted
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  /// Opens the file again by its name, after a rotation. Keeps the old one when that fails.
  bool Reopen();
  bool holds_back() const noexcept { return !batch_.empty(); }
  /// Lines that could not be written.
  std::uint64_t lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

 private:
  DescriptorSink(int fd, bool owned, std::string path, Blocked blocked, LogDoorbell& bell,
                 const std::atomic<bool>& stopping);
  enum class Ready : std::uint8_t { kNow, kLater, kNever };
  Ready WaitWritable();
  void Lose(std::size_t from);

  static constexpr std::size_t kBatchMax = 64 * 1024;
  LogDoorbell& bell_;
  const std::atomic<bool>& stopping_;
  const std::string path_;
  int fd_;
  const bool owned_;
  const Blocked blocked_;
  bool regular_ = false;   ///< a regular file: never blocks for long, and poll() says nothing about it
  bool given_up_ = false;  ///< stopping, and the reader takes nothing
  bool torn_ = false;      ///< the last write ended inside a line
  std::string batch_;
  std::atomic<std::uint64_t> lost_{0};
};

}  // namespace penstock::telemetry
