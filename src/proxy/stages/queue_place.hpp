#pragma once

#include "penstock/proxy/cluster_queue.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

/// Owned by one Worker. A request's place in its cluster's queue; lives in the waiting coroutine's frame, so whatever
/// ends that (the client left, the deadline, the drain) gives the place up. Accounts for the wait.
class QueuePlace {
 public:
  enum class Word : std::uint8_t { kTurn, kDrivenOut, kTimeout };

  /// `patience`: how long it waits at most.
  QueuePlace(RequestContext& context, policy::Priority priority, bool retry, Duration patience);
  ~QueuePlace();
  QueuePlace(const QueuePlace&) = delete;
  QueuePlace& operator=(const QueuePlace&) = delete;

  bool Enter();
  /// Until there is something to hear.
  rt::Signal& Next() noexcept { return waiter_.signal; }
  Word Hear();
  /// After kTurn. `look_at`: when something may have changed that nobody tells; may be Max().
  void GiveBack(bool others_may, TimePoint look_at);
  void Admitted();
  Duration waited() const;

 private:
  void OnTimer();
  void Arm();

  RequestContext& context_;
  const ClusterView& cluster_;  // the context's may be another one's by the end
  ClusterQueue& queue_;
  QueueWaiter waiter_;
  rt::Timer timer_;
  const TimePoint entered_;
  const TimePoint give_up_;
  TimePoint look_at_ = TimePoint::Max();
  bool inside_ = false;
  bool timed_out_ = false;
};

}  // namespace penstock::proxy
