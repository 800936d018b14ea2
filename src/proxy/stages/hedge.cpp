#include "proxy/stages/hedge.hpp"

#include <utility>

namespace penstock::proxy {

Hedge::Hedge(RequestContext& context, Attempt& attempt, Admission& admission)
    : context_(context),
      attempt_(attempt),
      admission_(admission),
      timer_(this, [](void* self) { static_cast<Hedge*>(self)->OnLate(); }) {}

void Hedge::Watch() {
  Hedging* const hedging = context_.model->hedging.get();
  if (hedging == nullptr || !attempt_.MayBeHedged()) return;
  rt::Worker& worker = context_.worker.worker;
  watched_at_ = worker.Now();
  hedging->budget.OnRequest(worker.index(), watched_at_);
  if (const std::optional<Duration> patience = hedging->Patience(worker.Now())) worker.Arm(timer_, *patience);
}

std::optional<std::uint32_t> Hedge::Stop() noexcept {
  timer_.Cancel();
  return std::exchange(second_, std::nullopt);
}

void Hedge::OnLate() {
  if (!attempt_.MayBeHedged() || context_.worker.crowded()) return;
  Choice choice = admission_.Another();
  if (choice.slot.pool == nullptr || !context_.model->hedging->budget.TryBeside(watched_at_, context_.now())) return;
  second_ = choice.index;
  attempt_.Hedge(std::move(choice.slot));
}

}  // namespace penstock::proxy
