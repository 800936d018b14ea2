#include "penstock/proxy/cluster_queue.hpp"

#include <algorithm>
#include <utility>

namespace penstock::proxy {

bool ClusterQueue::MayPass(policy::Priority priority, bool retry) const noexcept {
  if (!waited_for()) return true;
  if (claimed_.load(std::memory_order_relaxed)) return false;
  const std::size_t before =
      static_cast<std::size_t>(priority) + (retry ? 0 : 1);  // who comes back is ahead of its class
  for (std::size_t i = 0; i < before; ++i) {
    if (depths_[i].load(std::memory_order_relaxed) != 0) return false;
  }
  return true;
}

bool ClusterQueue::Enter(QueueWaiter& waiter, const policy::AdmissionQueue::Limits& limits, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (queue_.size() == 0) rate_.Begin(now);
  const bool entered = queue_.Push(waiter, limits, driven_out_);
  for (policy::QueueEntry* entry : driven_out_) Tell(static_cast<QueueWaiter&>(*entry), QueueWaiter::Word::kDrivenOut);
  Publish();
  return entered;
}

QueueWaiter::Word ClusterQueue::Hear(QueueWaiter& waiter) {
  const std::lock_guard lock(mutex_);
  return std::exchange(waiter.word_, QueueWaiter::Word::kNone);
}

void ClusterQueue::GiveBack(QueueWaiter& waiter, bool others_may) {
  const std::lock_guard lock(mutex_);
  if (missed_) {
    queue_.Return(waiter);
    SomeComeBack();
    WakeHead();
  } else if (others_may) {
    StandAside(waiter);
    WakeHead();
  } else {
    queue_.Return(waiter);
  }
  missed_ = false;
  Publish();
}

void ClusterQueue::Admitted(QueueWaiter& waiter, TimePoint now) {
  const std::lock_guard lock(mutex_);
  queue_.Leave(waiter);
  rate_.OnDeparture(now);
  Publish();
}

bool ClusterQueue::Withdraw(QueueWaiter& waiter) {
  const std::lock_guard lock(mutex_);
  if (waiter.word_ != QueueWaiter::Word::kNone) return false;
  ComeBack(waiter);
  queue_.Leave(waiter);
  Publish();
  return true;
}

void ClusterQueue::Leave(QueueWaiter& waiter) noexcept {
  const std::lock_guard lock(mutex_);
  Unwake(waiter);
  const bool had_turn = waiter.taken() && waiter.aside_at_ == QueueWaiter::kNowhere;
  ComeBack(waiter);
  queue_.Leave(waiter);
  if (had_turn) WakeHead();  // whom it would have been otherwise
  Publish();
}

void ClusterQueue::OnRoom() noexcept {
  const std::lock_guard lock(mutex_);
  Wake();
}

void ClusterQueue::OnRoomSeen() noexcept {
  const std::lock_guard lock(mutex_);
  if (in_turn() != 0) {
    missed_ = true;  // or else it would race whoever has the turn, and win where that one's worker is busy
  } else {
    Wake();
  }
}

void ClusterQueue::Look(TimePoint now) noexcept {
  std::int64_t looked = looked_ns_.load(std::memory_order_relaxed);
  if (now.ns - looked < kLookEvery.count()) return;
  if (!looked_ns_.compare_exchange_strong(looked, now.ns, std::memory_order_relaxed)) return;
  const std::lock_guard lock(mutex_);
  if (in_turn() != 0) return;  // somebody is looking
  SomeComeBack();
  WakeHead();
  Publish();
}

Duration ClusterQueue::PauseFor(TimePoint now, Duration unknown) const {
  const std::lock_guard lock(mutex_);
  return rate_.PauseFor(queue_.size(), now, unknown);
}

void ClusterQueue::Wake() noexcept {
  if (queue_.size() == 0) return;
  if (!WakeHead()) {
    if (in_turn() != 0) {
      missed_ = true;
      return;
    }
    SomeComeBack();
    WakeHead();
  }
  Publish();
}

bool ClusterQueue::WakeHead() {
  policy::QueueEntry* const head = queue_.Take();
  if (head == nullptr) return false;
  Tell(static_cast<QueueWaiter&>(*head), QueueWaiter::Word::kTurn);
  return true;
}

/// The waiter is in the queue, so its worker's gateway lives, and so does the worker. Always by the mailbox, its own
/// worker's too: who made room is in the middle of something.
void ClusterQueue::Tell(QueueWaiter& waiter, QueueWaiter::Word word) {
  const unsigned index = waiter.worker.index();
  if (index >= woken_.size()) woken_.resize(index + 1);
  Woken& woken = woken_[index];
  waiter.word_ = word;
  waiter.woken_at_ = woken.waiters.size();
  woken.waiters.push_back(&waiter);
  if (std::exchange(woken.posted, true)) return;
  waiter.worker.Post([self = shared_from_this(), &worker = waiter.worker] { self->Deliver(worker); });
}

void ClusterQueue::Unwake(QueueWaiter& waiter) noexcept {
  waiter.word_ = QueueWaiter::Word::kNone;
  if (waiter.woken_at_ == QueueWaiter::kNowhere) return;
  woken_[waiter.worker.index()].waiters[waiter.woken_at_] = nullptr;
  waiter.woken_at_ = QueueWaiter::kNowhere;
}

/// Those that were there at the beginning; what comes meanwhile waits for the next turn of the loop. A waiter that
/// hears its word may end others, here and elsewhere.
void ClusterQueue::Deliver(rt::Worker& worker) {
  std::unique_lock lock(mutex_);
  std::vector<QueueWaiter*>* waiters = &woken_[worker.index()].waiters;
  const std::size_t end = waiters->size();
  for (std::size_t i = 0; i < end; ++i) {
    QueueWaiter* const waiter = (*waiters)[i];
    if (waiter == nullptr) continue;
    waiter->woken_at_ = QueueWaiter::kNowhere;
    (*waiters)[i] = nullptr;
    lock.unlock();
    waiter->signal.Set();
    lock.lock();
    waiters = &woken_[worker.index()].waiters;  // may have moved
  }
  // cppcheck-suppress mismatchingContainerIterator
  waiters->erase(waiters->begin(), waiters->begin() + static_cast<std::ptrdiff_t>(end));
  for (std::size_t i = 0; i < waiters->size(); ++i) {
    if ((*waiters)[i] != nullptr) (*waiters)[i]->woken_at_ = i;
  }
  woken_[worker.index()].posted = !waiters->empty();
  if (!waiters->empty()) worker.Post([self = shared_from_this(), &worker] { self->Deliver(worker); });
}

void ClusterQueue::StandAside(QueueWaiter& waiter) {
  waiter.aside_at_ = aside_.size();
  aside_.push_back(&waiter);
}

/// Taken all the same: its turn is for the caller to end.
void ClusterQueue::ComeBack(QueueWaiter& waiter) noexcept {
  if (waiter.aside_at_ == QueueWaiter::kNowhere) return;
  QueueWaiter& last = *aside_.back();
  aside_[waiter.aside_at_] = &last;
  last.aside_at_ = waiter.aside_at_;
  aside_.pop_back();
  waiter.aside_at_ = QueueWaiter::kNowhere;
}

void ClusterQueue::SomeComeBack() {
  const std::size_t count = std::min(aside_.size(), kBackMax);
  for (std::size_t i = 0; i < count; ++i) {
    aside_[i]->aside_at_ = QueueWaiter::kNowhere;
    queue_.Return(*aside_[i]);
  }
  aside_.erase(aside_.begin(), aside_.begin() + static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < aside_.size(); ++i) aside_[i]->aside_at_ = i;
}

/// waiting_ is what RoomWatch's pattern needs in one order with the loads of those who make room.
void ClusterQueue::Publish() noexcept {
  for (std::size_t i = 0; i < policy::kPriorities; ++i) {
    depths_[i].store(static_cast<std::uint32_t>(queue_.size(static_cast<policy::Priority>(i))),
                     std::memory_order_relaxed);
  }
  claimed_.store(in_turn() != 0, std::memory_order_relaxed);
  waiting_.store(static_cast<std::uint32_t>(queue_.size()));
}

}  // namespace penstock::proxy
