#include "proxy/stages/admit.hpp"

#include <algorithm>
#include <utility>

#include "penstock/policy/backoff.hpp"
#include "penstock/proxy/variants.hpp"
#include "proxy/balance_key.hpp"
#include "proxy/stages/queue_place.hpp"

namespace penstock::proxy {
namespace {

rt::Task<void> Sleep(rt::Worker& worker, Duration time) {
  rt::Signal over;
  rt::Timer timer(&over, [](void* signal) { static_cast<rt::Signal*>(signal)->Set(); });
  worker.Arm(timer, time);
  co_await over;
}

}  // namespace

bool RoomLeft(const RequestContext& context) {
  // It began before a reload: whom others may ask now it does not know.
  if (context.view != context.worker.view) return true;
  const ClusterView& cluster = *context.cluster;
  for (std::uint32_t i = 0; i < cluster.pools.size(); ++i) {
    const upstream::Endpoint& endpoint = cluster.pools[i]->endpoint();
    if (!endpoint.usable() || cluster.balancer->excluded().Contains(i)) continue;
    if (endpoint.rest.Resting(context.now())) continue;  // but other workers need not calm down when this one must
    if (endpoint.load.HasRoom(endpoint.limit())) return true;
  }
  return false;
}

Admission::Admission(RequestContext& context)
    : context_(context),
      cluster_(*context.cluster),
      pick_(PickFor(context)),
      candidates_(std::in_place, *cluster_.balancer, pick_) {}

Choice Admission::TryNow() {
  overtaken_ = !MayPass();
  if (overtaken_) return {};
  Choice choice = ChooseEndpoint(context_, *candidates_, barred_);
  seen_ = {choice.someone_usable, choice.rest_ends};
  return choice;
}

Choice Admission::Another() {
  if (cluster_.route->queue->waited_for()) return {};
  return ChooseEndpoint(context_, *candidates_, barred_);
}

/// Every endpoint once more, those that were passed over included.
Choice Admission::Renew() {
  candidates_.emplace(*cluster_.balancer, pick_);
  return TryNow();
}

rt::Task<Choice> Admission::Wait() {
  rt::Worker& worker = context_.worker.worker;
  const config::Retry& retry = cluster_.route->config->retry;
  Choice choice;
  if (!overtaken_ && ask_again_)
    co_await Sleep(worker, policy::NextBackoff(retry.backoff.base, retry.backoff.max, attempts_, worker.prng()));
  choice = Renew();
  const TimePoint patience =
      Earlier(context_.deadline, policy::Deadline::After(worker.Now(), retry.retry_after_max)).at;
  const bool has_queue = cluster_.route->config->queue.size != 0;
  while (choice.slot.pool == nullptr && !overtaken_ && seen_.rest_ends <= patience &&
         !(has_queue && seen_.someone_usable)) {
    co_await Sleep(worker, seen_.rest_ends - worker.Now());
    choice = Renew();
  }
  if (choice.slot.pool == nullptr && MayQueue()) choice = co_await Queue();
  co_return choice;
}

bool Admission::MayQueue() const {
  if (cluster_.route->config->queue.size == 0 || !SomebodyIsOpen()) return false;
  // Whom it was to spare has the next try.
  if (IsVariant(*context_.asked, context_.snapshot(), *context_.model)) return false;
  if (overtaken_ || seen_.someone_usable) return true;
  if (seen_.rest_ends != TimePoint::Max()) return false;  // a pause that is longer than anybody waits
  return !SomebodyStandsIn();
}

/// Somebody is left whom this request may ask, well or not.
bool Admission::SomebodyIsOpen() const {
  for (std::uint32_t i = 0; i < cluster_.pools.size(); ++i) {
    if (!barred_.Contains(i) && !cluster_.balancer->excluded().Contains(i)) return true;
  }
  return false;
}

bool Admission::SomebodyStandsIn() const {
  const std::vector<std::size_t>& fallbacks = context_.asked->fallbacks;
  return std::any_of(fallbacks.begin(), fallbacks.end(),
                     [this](std::size_t index) { return context_.tenant->MayUse(index); });
}

bool Admission::MayPass() const {
  const ClusterQueue& queue = *cluster_.route->queue;
  return !queue.waited_for() || queue.MayPass(context_.priority(), attempts_ != 0);
}

rt::Task<Choice> Admission::Queue() {
  ClusterQueue& queue = *cluster_.route->queue;
  QueuePlace place(context_, context_.priority(), attempts_ != 0, cluster_.route->config->queue.timeout - queued_);
  if (!place.Enter()) {
    outcome_ = Outcome::kQueueFull;
    co_return Choice{};
  }
  if (RoomLeft(context_)) queue.OnRoomSeen();
  while (true) {
    co_await place.Next();
    const QueuePlace::Word word = place.Hear();
    if (word != QueuePlace::Word::kTurn) {
      queued_ += place.waited();
      outcome_ = word == QueuePlace::Word::kDrivenOut ? Outcome::kQueueFull : Outcome::kQueueTimeout;
      co_return Choice{};
    }
    candidates_.emplace(*cluster_.balancer, pick_);
    Choice choice = ChooseEndpoint(context_, *candidates_, barred_);
    const bool room_left = RoomLeft(context_);
    if (choice.slot.pool != nullptr) {
      place.Admitted();
      queued_ += place.waited();
      if (room_left && queue.waited_for()) queue.OnRoom();
      co_return choice;
    }
    place.GiveBack(room_left, choice.rest_ends);
  }
}

Admission::Refusal Admission::why() const {
  const Duration pause = cluster_.route->queue->PauseFor(context_.now(), cluster_.route->config->queue.timeout);
  switch (outcome_) {
    case Outcome::kQueueFull:
      return {InternalError(ErrorCode::kQueueFull, "too many requests wait for the model's backends"), pause};
    case Outcome::kQueueTimeout:
      return {InternalError(ErrorCode::kQueueTimeout, "no backend had room while the request waited"), pause};
    case Outcome::kNobody: break;
  }
  if (seen_.someone_usable) return {InternalError(ErrorCode::kOverloaded, "every backend is at its limit")};
  if (seen_.rest_ends == TimePoint::Max())
    return {InternalError(ErrorCode::kNoHealthyUpstream, "no backend is healthy")};
  return {InternalError(ErrorCode::kRequestsExceeded, "every backend has asked for a pause"),
          seen_.rest_ends - context_.now()};
}

}  // namespace penstock::proxy
