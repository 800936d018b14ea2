#pragma once

#include <array>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::rt {

class TimerWheel;

/// Owned by one Worker. One pending call; embedded in its owner, costs no allocation. Dying cancels it.
class Timer {
 public:
  using Callback = void (*)(void* owner);

  Timer(void* owner, Callback callback) noexcept : owner_(owner), callback_(callback) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Cancel() noexcept;
  bool armed() const noexcept { return next_ != nullptr; }
  TimePoint deadline() const noexcept { return deadline_; }

 private:
  friend class TimerWheel;
  void Link(Timer& before) noexcept;
  void Unlink() noexcept;

  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  TimerWheel* wheel_ = nullptr;
  TimePoint deadline_{};
  void* owner_;
  Callback callback_;
  std::uint16_t slot_ = 0;
};

/// Owned by one Worker. Hierarchical timing wheel (Varghese and Lauck 1987): 4 levels of 64 slots at 1 ms, 64 ms, 4 s
/// and 262 s, so arming, re-arming and cancelling are O(1); a deadline beyond 4.6 h waits in the last level and is
/// placed anew. A timer never fires early and, given a Poll per deadline, at most 1 ms late.
class TimerWheel {
 public:
  explicit TimerWheel(TimePoint now) noexcept;
  ~TimerWheel();

  /// Arms or re-arms.
  void Arm(Timer& timer, TimePoint deadline) noexcept;
  /// Fires everything due. A callback may arm and cancel any timer, its own included.
  void Advance(TimePoint now);
  /// No timer fires before this; Max() when there is none. May be earlier than the first deadline, never later.
  TimePoint NextDeadline() const noexcept;
  std::size_t armed() const noexcept { return armed_; }

 private:
  friend class Timer;
  static constexpr int kLevels = 4;
  static constexpr int kBits = 6;
  static constexpr int kSlots = 1 << kBits;

  void Place(Timer& timer, std::int64_t earliest) noexcept;
  void Cascade(int level) noexcept;
  std::int64_t TickOf(TimePoint t) const noexcept { return t.ns / 1'000'000 + (t.ns % 1'000'000 > 0 ? 1 : 0); }

  std::int64_t tick_;  ///< the millisecond up to which everything has fired
  std::size_t armed_ = 0;
  std::array<std::uint64_t, kLevels> occupied_{};
  struct Anchor : Timer {
    Anchor() noexcept : Timer(nullptr, nullptr) {}
  };
  std::array<Anchor, kLevels * kSlots> slots_;
  Anchor firing_;
};

}  // namespace penstock::rt
