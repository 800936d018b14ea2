#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Owned by one Worker. Or by whoever holds the lock around it. Good and bad ends within a sliding window.
///
/// The window moves in tenths: what is counted is between nine and ten tenths old at most, so an end is never counted
/// longer than `window`. A `now` behind the newest (workers read their clocks apart) counts as the newest.
class OutcomeWindow {
 public:
  static constexpr std::size_t kSlots = 10;

  explicit OutcomeWindow(Duration window) noexcept
      : slot_ns_(std::max<std::int64_t>(window.count() / static_cast<std::int64_t>(kSlots), 1)) {}

  void Add(TimePoint now, bool failed) noexcept {
    Advance(now.ns / slot_ns_);
    Slot& slot = SlotOf(newest_);
    ++slot.ended;
    slot.failed += failed ? 1 : 0;
    sum_.ended += 1;
    sum_.failed += failed ? 1 : 0;
  }

  void Clear() noexcept {
    slots_ = {};
    sum_ = {};
  }

  /// As of the last Add().
  std::uint32_t ended() const noexcept { return sum_.ended; }
  std::uint32_t failed() const noexcept { return sum_.failed; }

 private:
  struct Slot {
    std::uint32_t ended = 0;
    std::uint32_t failed = 0;
  };

  Slot& SlotOf(std::int64_t number) noexcept { return slots_[static_cast<std::size_t>(number) % kSlots]; }

  void Advance(std::int64_t number) noexcept {
    if (number <= newest_) return;
    if (number - newest_ >= static_cast<std::int64_t>(kSlots)) {
      Clear();
      newest_ = number;
      return;
    }
    while (newest_ < number) {
      Slot& slot = SlotOf(++newest_);
      sum_.ended -= slot.ended;
      sum_.failed -= slot.failed;
      slot = {};
    }
  }

  std::int64_t slot_ns_;
  std::int64_t newest_ = 0;  ///< the number of the slot that is being filled, since the clock's zero
  std::array<Slot, kSlots> slots_{};
  Slot sum_;
};

}  // namespace penstock::policy
