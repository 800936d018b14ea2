#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "penstock/policy/admission_queue.hpp"
#include "penstock/policy/drain_rate.hpp"
#include "penstock/policy/endpoint_load.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"

namespace penstock::proxy {

/// Owned by one Worker. Who waits in a ClusterQueue; `signal` is set, on that worker, when there is a word for it.
struct QueueWaiter : policy::QueueEntry {
  enum class Word : std::uint8_t {
    kNone,
    kTurn,       ///< look for room: Admitted() or GiveBack() must follow, or Leave()
    kDrivenOut,  ///< somebody who goes before it came, and the queue was full
  };

  explicit QueueWaiter(rt::Worker& w) : worker(w) {}

  rt::Worker& worker;
  rt::Signal signal;

 private:
  friend class ClusterQueue;
  static constexpr std::size_t kNowhere = SIZE_MAX;
  Word word_ = Word::kNone;
  std::size_t woken_at_ = kNowhere;  ///< in its worker's list: told, not heard yet
  std::size_t aside_at_ = kNowhere;
};

/// Shared: a mutex, and atomic counts for those who need not wait. The requests of one cluster for which no endpoint
/// has room, of all workers, in the order of policy::AdmissionQueue. One per cluster's name and process, kept over
/// reloads.
///
/// One place that comes free wakes one: the head, by its worker's mailbox. It then chooses an endpoint as any request
/// does. Who fails keeps its old place. If it failed although there is room (for its model a breaker is open there, or
/// it was there before), it stands aside and the next one is woken. Those aside come back, kBackMax at a time, when
/// nobody else waits or at the next look. Who is admitted and sees room for more wakes the next. So what comes free is
/// used, and a cluster that comes back meets one request after the other, not all that wait.
///
/// Who was woken has a claim on what came free: no newcomer goes before it, of whatever class, else a higher class that
/// comes in steadily would take every place on the fast path, where the order does not see it, and the lowest its share
/// never.
class ClusterQueue final : public policy::RoomWatch, public std::enable_shared_from_this<ClusterQueue> {
 public:
  static constexpr std::size_t kBackMax = 64;
  static constexpr Duration kLookEvery = std::chrono::milliseconds(10);  ///< at most, whoever asks

  ClusterQueue(telemetry::MetricRegistry& registry, std::string_view cluster) : metrics(registry, cluster) {}

  /// Nobody waits who goes before such a newcomer, and nobody was woken. Any thread, no lock.
  bool MayPass(policy::Priority priority, bool retry) const noexcept;

  /// False: there is no room, also not by driving somebody out. Else the caller looks for room once more, and calls
  /// OnRoomSeen() if it sees some: it may have come free before anybody waited.
  bool Enter(QueueWaiter& waiter, const policy::AdmissionQueue::Limits& limits, TimePoint now);
  /// What the signal was about.
  QueueWaiter::Word Hear(QueueWaiter& waiter);
  /// After kTurn: it found no room. `others_may`: there is some, but not for it.
  void GiveBack(QueueWaiter& waiter, bool others_may);
  /// After kTurn: it has a place, and is no longer in the queue.
  void Admitted(QueueWaiter& waiter, TimePoint now);
  /// It waits no longer. False: a word is on its way to it, and it was not taken out.
  bool Withdraw(QueueWaiter& waiter);
  /// It goes, whatever is on its way to it.
  void Leave(QueueWaiter& waiter) noexcept;

  void OnRoom() noexcept override;
  /// A newcomer sees room. Unlike OnRoom() this wakes nobody while somebody looks, whose room it may be.
  void OnRoomSeen() noexcept;
  /// For what comes with time and tells nobody: a pause or a breaker's time that is over, an endpoint that is healthy
  /// again. Those who wait call it every now and then.
  void Look(TimePoint now) noexcept;

  std::size_t depth(policy::Priority priority) const noexcept {
    return depths_[static_cast<std::size_t>(priority)].load(std::memory_order_relaxed);
  }
  std::size_t depth() const noexcept { return waiting_.load(std::memory_order_relaxed); }
  /// When somebody who is sent away should come again; `unknown` when nobody has been admitted lately.
  Duration PauseFor(TimePoint now, Duration unknown) const;

  const telemetry::QueueMetrics metrics;

 private:
  struct Woken {
    std::vector<QueueWaiter*> waiters;  // null: has left meanwhile
    bool posted = false;                // a letter is on its way
  };

  void Wake() noexcept;
  bool WakeHead();
  void Tell(QueueWaiter& waiter, QueueWaiter::Word word);
  void Unwake(QueueWaiter& waiter) noexcept;
  void StandAside(QueueWaiter& waiter);
  void ComeBack(QueueWaiter& waiter) noexcept;
  void SomeComeBack();
  void Publish() noexcept;
  void Deliver(rt::Worker& worker);
  std::size_t in_turn() const noexcept { return queue_.size() - queue_.waiting() - aside_.size(); }

  std::array<std::atomic<std::uint32_t>, policy::kPriorities> depths_{};
  std::atomic<bool> claimed_{false};  // somebody was woken and has not said yet how it went
  std::atomic<std::int64_t> looked_ns_{0};

  mutable std::mutex mutex_;  // everything below
  policy::AdmissionQueue queue_;
  policy::DrainRate rate_;
  std::vector<QueueWaiter*> aside_;  // taken out of the order until something changes
  std::vector<policy::QueueEntry*> driven_out_;
  std::vector<Woken> woken_;  // by worker
  bool missed_ = false;       // room came while all who wait were looking for some
};

}  // namespace penstock::proxy
