#pragma once

#include <cstdint>
#include <list>
#include <optional>

namespace penstock::sim {

/// Who waits for a slot.
class SlotWaiter {
 public:
  virtual void OnSlot() = 0;  ///< the slot is yours

  std::optional<std::list<SlotWaiter*>::iterator> place;  ///< in the queue; Slots' own

 protected:
  ~SlotWaiter() = default;
};

/// Owned by one Worker. A server's decoding slots: `limit` requests at once, the others wait first come first served,
/// as in llama-server. 0 = no limit.
class Slots {
 public:
  explicit Slots(std::uint32_t limit) noexcept : limit_(limit) {}

  /// True: the slot is taken. False: OnSlot() will come.
  bool Take(SlotWaiter& waiter) {
    if (limit_ == 0 || taken_ < limit_) {
      ++taken_;
      return true;
    }
    waiter.place = waiting_.insert(waiting_.end(), &waiter);
    return false;
  }

  void Forget(SlotWaiter& waiter) {
    if (!waiter.place) return;
    waiting_.erase(*waiter.place);
    waiter.place.reset();
  }

  void Give() {
    --taken_;
    if (waiting_.empty()) return;
    SlotWaiter* next = waiting_.front();
    Forget(*next);
    ++taken_;
    next->OnSlot();
  }

  std::uint32_t taken() const noexcept { return taken_; }
  std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  std::uint32_t limit_;
  std::uint32_t taken_ = 0;
  std::list<SlotWaiter*> waiting_;
};

}  // namespace penstock::sim
