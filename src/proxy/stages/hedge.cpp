#include "proxy/stages/hedge.hpp"

#include <utility>

#include "proxy/balance_key.hpp"
#include "proxy/stages/choose_endpoint.hpp"

namespace penstock::proxy {

Hedge::Hedge(RequestContext& context, Attempt& attempt, const policy::EndpointSet& barred)
    : context_(context),
      attempt_(attempt),
      barred_(barred),
      timer_(this, [](void* self) { static_cast<Hedge*>(self)->OnLate(); }) {}

void Hedge::Watch(std::uint32_t index) {
  Hedging* const hedging = context_.model->hedging.get();
  if (hedging == nullptr || !attempt_.MayBeHedged()) return;
  rt::Worker& worker = context_.worker.worker;
  hedging->budget.OnRequest(worker.index(), worker.Now());
  first_ = index;
  if (const std::optional<Duration> patience = hedging->Patience(worker.Now())) worker.Arm(timer_, *patience);
}

std::optional<std::uint32_t> Hedge::Stop() noexcept {
  timer_.Cancel();
  return std::exchange(second_, std::nullopt);
}

void Hedge::OnLate() {
  if (!attempt_.MayBeHedged() || context_.worker.crowded() || context_.cluster->route->queue->waited_for()) return;
  policy::EndpointSet barred = barred_;
  barred.Insert(first_);
  policy::Candidates candidates(*context_.cluster->balancer, PickFor(context_));
  Choice choice = ChooseEndpoint(context_, candidates, barred);
  if (choice.slot.pool == nullptr || !context_.model->hedging->budget.TryRetry(context_.now())) return;
  second_ = choice.index;
  attempt_.Hedge(std::move(choice.slot));
}

}  // namespace penstock::proxy
