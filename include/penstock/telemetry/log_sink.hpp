#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "penstock/base/result.hpp"
#include "penstock/base/time.hpp"
#include "penstock/telemetry/log_channel.hpp"

namespace penstock::telemetry {

struct LogSinkOptions {
  std::string access = "stderr";             ///< stderr | off | a path
  std::size_t ring_bytes = 8 * 1024 * 1024;  ///< of all channels together
  std::size_t channels = 1;                  ///< how many will be opened: workers + 1 for the control thread
  int stderr_fd = 2;                         ///< not closed
};

/// Shared: one log thread, one channel per pushing thread. Access lines and the daemon's go through the same
/// rings and keep their order per thread. A push never waits: while the reader of stderr stands still or a
/// disk hangs, the rings fill and then drop. With the access log in a file a standing stderr holds up only
/// the daemon's lines, 64 KiB of them; the rest is dropped. The log thread writes through spdlog sinks, in
/// batches.
///
/// Why not spdlog's asynchronous logger (1.10): a mutex and a condition variable per line, 1.7 allocations
/// for a line of 450 bytes, 480 ns for the caller under load; and when lines come one by one a wake-up of its
/// thread for each, 10 us of CPU per request, as much as a proxy spends on all the rest. Here a push is a
/// copy (under 100 ns), and the thread, once woken, gathers for kGatherMs.
class LogSink {
 public:
  /// Fails when the access log cannot be opened; errno tells why. Starts the thread, all signals blocked.
  static Result<std::unique_ptr<LogSink>> Open(const LogSinkOptions& options);
  /// Writes what is pushed already, unless the reader takes nothing for half a second. Channels end with the
  /// sink.
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  /// A channel for one thread, valid as long as the sink.
  LogChannel& OpenChannel();
  /// False with `access: off`: then nobody should build a line.
  bool access_enabled() const noexcept;
  /// Opens the access log again (SIGUSR1): whatever the caller pushes from now on is in the new file. From a
  /// signal's thread, not from its handler.
  void Reopen() noexcept;
  /// Waits until what is pushed already was written, lost or held back; false after `limit`. Not for workers.
  bool Flush(Duration limit);
  /// Lines dropped: ring full, disk full, reader gone. Reopens that failed are not lines.
  std::uint64_t dropped() const;

  static constexpr int kGatherMs = 20;

 private:
  struct State;
  explicit LogSink(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace penstock::telemetry
