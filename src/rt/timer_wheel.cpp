#include "penstock/rt/timer_wheel.hpp"

#include <algorithm>
#include <bit>

#include "penstock/base/assert.hpp"

namespace penstock::rt {
namespace {

constexpr std::uint16_t kNoSlot = 0xffff;  // being fired: in no slot's list

}  // namespace

void Timer::Link(Timer& before) noexcept {
  next_ = &before;
  previous_ = before.previous_;
  before.previous_->next_ = this;
  before.previous_ = this;
}

void Timer::Unlink() noexcept {
  previous_->next_ = next_;
  next_->previous_ = previous_;
  next_ = previous_ = nullptr;
}

void Timer::Cancel() noexcept {
  if (next_ == nullptr || wheel_ == nullptr) return;
  Unlink();
  --wheel_->armed_;
  if (slot_ != kNoSlot) {
    const Timer& anchor = wheel_->slots_[slot_];
    if (anchor.next_ == &anchor)
      wheel_->occupied_[slot_ / TimerWheel::kSlots] &= ~(1ull << (slot_ % TimerWheel::kSlots));
  }
  wheel_ = nullptr;
}

TimerWheel::TimerWheel(TimePoint now) noexcept : tick_(now.ns / 1'000'000) {
  for (Anchor& anchor : slots_) anchor.next_ = anchor.previous_ = &anchor;
  firing_.next_ = firing_.previous_ = &firing_;
}

TimerWheel::~TimerWheel() {
  for (Anchor& anchor : slots_) {
    while (anchor.next_ != &anchor) anchor.next_->Cancel();
    anchor.next_ = nullptr;
  }
  firing_.next_ = nullptr;
}

void TimerWheel::Arm(Timer& timer, TimePoint deadline) noexcept {
  timer.Cancel();
  timer.deadline_ = deadline;
  timer.wheel_ = this;
  ++armed_;
  Place(timer, tick_ + 1);
}

void TimerWheel::Place(Timer& timer, std::int64_t earliest) noexcept {
  constexpr std::int64_t kReach = (1ll << (kBits * kLevels)) - 1;
  const std::int64_t due = std::clamp<std::int64_t>(TickOf(timer.deadline_), earliest, tick_ + kReach);
  const std::int64_t ahead = due - tick_;
  int level = 0;
  while (level + 1 < kLevels && ahead >= (1ll << (kBits * (level + 1)))) ++level;
  const auto slot = static_cast<std::uint16_t>((due >> (kBits * level)) & (kSlots - 1));
  timer.slot_ = static_cast<std::uint16_t>(level * kSlots + slot);
  timer.Link(slots_[timer.slot_]);
  occupied_[static_cast<std::size_t>(level)] |= 1ull << slot;
}

/// The slot of `level` that tick_ has just entered is spread over the levels below.
void TimerWheel::Cascade(int level) noexcept {
  const auto slot = static_cast<std::size_t>((tick_ >> (kBits * level)) & (kSlots - 1));
  if (slot == 0 && level + 1 < kLevels) Cascade(level + 1);
  const std::uint64_t bit = 1ull << slot;
  if ((occupied_[static_cast<std::size_t>(level)] & bit) == 0) return;
  occupied_[static_cast<std::size_t>(level)] &= ~bit;
  Anchor& anchor = slots_[static_cast<std::size_t>(level * kSlots) + slot];
  while (anchor.next_ != &anchor) {
    Timer& timer = *anchor.next_;
    timer.Unlink();
    Place(timer, tick_);  // one that is due now lands in the slot that is served next
  }
}

void TimerWheel::Advance(TimePoint now) {
  const std::int64_t target = now.ns / 1'000'000;
  while (tick_ < target) {
    if (armed_ == 0) {
      tick_ = target;
      return;
    }
    ++tick_;
    const auto slot = static_cast<std::size_t>(tick_ & (kSlots - 1));
    if (slot == 0) {
      Cascade(1);
    } else if (occupied_[0] == 0) {
      // Nothing in this round of the first level: go to its last tick.
      tick_ = std::min(target, tick_ | (kSlots - 1));
      continue;
    }
    const std::uint64_t bit = 1ull << slot;
    if ((occupied_[0] & bit) == 0) continue;
    occupied_[0] &= ~bit;
    Anchor& anchor = slots_[slot];
    while (anchor.next_ != &anchor) {
      Timer& timer = *anchor.next_;
      timer.Unlink();
      timer.slot_ = kNoSlot;
      timer.Link(firing_);
    }
    while (firing_.next_ != &firing_) {
      Timer& timer = *firing_.next_;
      timer.Cancel();
      timer.callback_(timer.owner_);
    }
  }
}

TimePoint TimerWheel::NextDeadline() const noexcept {
  if (armed_ == 0) return TimePoint::Max();
  for (int level = 0; level < kLevels; ++level) {
    const std::uint64_t occupied = occupied_[static_cast<std::size_t>(level)];
    if (occupied == 0) continue;
    const std::int64_t current = tick_ >> (kBits * level);
    const auto position = static_cast<int>(current & (kSlots - 1));
    // Distance in slots to the next occupied one after the current, round the ring.
    const std::uint64_t rotated = std::rotr(occupied, (position + 1) & (kSlots - 1));
    const std::int64_t slots_ahead = std::countr_zero(rotated) + 1;
    const std::int64_t tick = (current + slots_ahead) << (kBits * level);
    // A lower level's slot is always nearer than a higher level's, but a cascade may bring something before it.
    const std::int64_t round = ((tick_ >> (kBits * (level + 1))) + 1) << (kBits * (level + 1));
    bool above = false;
    for (int higher = level + 1; higher < kLevels; ++higher)
      above = above || occupied_[static_cast<std::size_t>(higher)] != 0;
    return TimePoint{(above ? std::min(tick, round) : tick) * 1'000'000};
  }
  return TimePoint::Max();
}

}  // namespace penstock::rt
