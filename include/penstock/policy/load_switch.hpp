#pragma once

#include <atomic>
#include <cstdint>

namespace penstock::policy {

/// Shared: atomics. On above one load, off again below a lower one; in between it stays as it is. Every access is
/// relaxed: nothing else is published by it, and of two threads with different loads either may be right.
class LoadSwitch {
 public:
  LoadSwitch(double above, double below) noexcept : above_(above), below_(below) {}

  /// A load was seen; returns whether it is on now.
  bool Update(double load) noexcept {
    const bool on = on_.load(std::memory_order_relaxed);
    const bool wanted = on ? load >= below_ : load > above_;
    if (wanted == on) return on;
    if (!on_.exchange(wanted, std::memory_order_relaxed) && wanted) times_.fetch_add(1, std::memory_order_relaxed);
    return wanted;
  }
  bool on() const noexcept { return on_.load(std::memory_order_relaxed); }
  std::uint64_t times() const noexcept { return times_.load(std::memory_order_relaxed); }  ///< it went on, ever

 private:
  const double above_;
  const double below_;
  std::atomic<bool> on_{false};
  std::atomic<std::uint64_t> times_{0};
};

}  // namespace penstock::policy
