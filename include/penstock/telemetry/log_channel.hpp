#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace penstock::telemetry {

/// Where a line goes.
enum class LogTarget : std::uint8_t { kDaemon, kAccess };

/// The longest line, its end of line excluded.
inline constexpr std::size_t kLogLineMax = 16 * 1024;
/// Bytes that one value may take in a line, escapes included (FAULTS A-09).
inline constexpr std::size_t kLogFieldMax = 1024;
/// The same for the few that are meant to be long: two of them fit into a line.
inline constexpr std::size_t kLogTextMax = 7 * 1024;

/// Shared: atomics and an eventfd. Wakes the log thread, with a system call only when it sleeps or a ring
/// fills up.
class LogDoorbell {
 public:
  LogDoorbell() noexcept;
  LogDoorbell(const LogDoorbell&) = delete;
  LogDoorbell& operator=(const LogDoorbell&) = delete;
  ~LogDoorbell();

  /// After something was made visible to the log thread by a sequentially consistent store. Either this load
  /// sees the sleeper, or the sleeper, who looks once more after it lay down, sees the store.
  void RingIfAsleep() noexcept {
    if (asleep_.load(std::memory_order_seq_cst)) Ring();
  }
  void Ring() noexcept;

  // The log thread.
  int fd() const noexcept { return fd_; }  ///< readable when it rang
  void LieDown() noexcept { asleep_.store(true, std::memory_order_seq_cst); }
  void GetUp() noexcept;  ///< awake; the bell is silent again

 private:
  int fd_;
  std::atomic<bool> asleep_{false};
  std::atomic<bool> rung_{false};
};

/// Shared: one pushing thread, one draining thread. A ring of lines between a worker and the log thread: two
/// atomic indices, a copy, no lock, no allocation. When it is full the NEWEST line is dropped and counted:
/// making room would need the reader's consent, and what led up to a flood is worth more than its middle.
class LogChannel {
 public:
  /// `bytes` is rounded up to a power of two, at least 2 x kLogLineMax.
  LogChannel(LogDoorbell& bell, std::size_t bytes);

  /// The pushing thread. `line` without an end of line, at most kLogLineMax bytes. False: dropped.
  bool Push(LogTarget target, std::string_view line) noexcept;
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

  // The draining thread.
  std::uint64_t head() const noexcept { return head_.load(std::memory_order_seq_cst); }
  std::uint64_t tail() const noexcept { return tail_.load(std::memory_order_relaxed); }
  /// Copies the line at the tail into `buffer` (kLogLineMax bytes) and frees its place. Only while tail() <
  /// head().
  std::string_view Pop(char* buffer, LogTarget& target) noexcept;

 private:
  void CopyIn(std::uint64_t at, const void* bytes, std::size_t size) noexcept;
  void CopyOut(std::uint64_t at, void* bytes, std::size_t size) const noexcept;

  LogDoorbell& bell_;
  const std::size_t capacity_;
  const std::unique_ptr<char[]> ring_;
  alignas(64) std::atomic<std::uint64_t> head_{0};  // bytes ever pushed
  std::uint64_t tail_seen_ = 0;                     // the pushing thread's copy of tail_, so that it rarely asks
  std::atomic<std::uint64_t> dropped_{0};
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // bytes ever taken
};

}  // namespace penstock::telemetry
