#pragma once

#include <optional>

#include "penstock/policy/balancer.hpp"
#include "penstock/rt/task.hpp"
#include "proxy/stages/choose_endpoint.hpp"

namespace penstock::proxy {

/// Owned by one Worker. One request's way to the endpoints of `context.model`: a place to go, or the wait for one.
///
/// What it waits for, in this order: before an endpoint that answered badly is asked again, a back-off; where all that
/// may be asked have asked for a pause, its end, at most `retry_after_max`; where none has room or none is healthy, a
/// turn in the cluster's queue, at most `queue.timeout` in all. A model with fallbacks does not wait for endpoints that
/// are not healthy: somebody else can answer.
class Admission {
 public:
  explicit Admission(RequestContext& context);

  /// At once, if nobody who waits goes before this request. Null pool: Wait() for it.
  Choice TryNow();
  /// Null pool: there is none, and why() says why.
  rt::Task<Choice> Wait();

  /// Beside an attempt, room that is there: where the walk that found the attempt's endpoint goes next.
  Choice Another();

  /// Behind an attempt that is to be followed by another one: this endpoint not again for this request...
  void Bar(std::uint32_t index) noexcept { barred_.Insert(index); }
  /// ... or whom it was asked of may be asked again, after a back-off.
  void MayAskAgain() noexcept { ask_again_ = true; }
  void OnAttempt() noexcept { ++attempts_; }

  struct Refusal {
    Error error{};
    Duration pause{};  ///< for Retry-After; 0: nothing better than the usual is known
  };
  Refusal why() const;

 private:
  struct Seen {
    bool someone_usable = false;
    TimePoint rest_ends = TimePoint::Max();
  };
  enum class Outcome : std::uint8_t { kNobody, kQueueFull, kQueueTimeout };

  Choice Renew();
  bool MayQueue() const;
  bool SomebodyIsOpen() const;
  bool SomebodyStandsIn() const;
  bool MayPass() const;
  rt::Task<Choice> Queue();

  RequestContext& context_;
  const ClusterView& cluster_;
  const policy::PickContext pick_;
  std::optional<policy::Candidates> candidates_;
  policy::EndpointSet barred_;  // were silent, or may have had it twice
  Seen seen_;                   // at the last look
  bool overtaken_ = false;      // there was none: others go first
  bool ask_again_ = false;
  std::uint32_t attempts_ = 0;
  Duration queued_{};
  Outcome outcome_ = Outcome::kNobody;
};

/// A place in the cluster that anybody could have, be it barred to this request or left alone by its model's breaker.
bool RoomLeft(const RequestContext& context);

}  // namespace penstock::proxy
