#include "proxy/stages/rescue.hpp"

#include <string>
#include <vector>

#include "penstock/cache/admission.hpp"
#include "penstock/llm/continuation.hpp"
#include "proxy/balance_key.hpp"
#include "proxy/stages/choose_endpoint.hpp"
#include "proxy/stages/try_model.hpp"

namespace penstock::proxy {
namespace {

using From = llm::StreamSeam::From;

/// Where to ask.
struct Place {
  const ModelRoute* model = nullptr;
  bool broken_too = false;  ///< also where the stream broke
};

/// Another endpoint of the same model, the models that stand in for it, and at last, unless it was silent, the one
/// where the stream broke: a server that was restarted is back by now.
std::vector<Place> PlacesFor(const RequestContext& context, const Error& why) {
  std::vector<Place> places{{context.model}};
  if (context.asked != context.model) places.push_back({context.asked});
  for (const std::size_t index : context.asked->fallbacks) {
    const ModelRoute& model = context.snapshot().models[index];
    if (context.tenant->MayUse(index) && &model != context.model) places.push_back({&model});
  }
  if (why.code != ErrorCode::kUpstreamTimeout) places.push_back({context.model, true});
  return places;
}

/// A request for the rest of the answer, as long as the attempts last that carry it.
struct Continuation {
  std::string body;
  std::optional<llm::RequestView> request;
};

/// Owned by one Worker. One broken stream, and the tries to go on with it.
class Rescuer {
 public:
  Rescuer(RequestContext& context, Attempt& attempt)
      : context_(context),
        attempt_(attempt),
        why_(attempt.result().error),
        places_(PlacesFor(context, why_)),
        broken_(&attempt.pool()),
        tries_left_(context.cluster->route->retry.attempts_max) {}

  /// True: the attempt ended with the answer, or with its own word to the client.
  rt::Task<bool> Try(From from);
  const Error& why() const noexcept { return why_; }

 private:
  enum class Outcome : std::uint8_t { kOver, kGoOn, kUnable };
  rt::Task<Outcome> TryPlace(const Place& place, From from);
  bool Renew(From from, Continuation& continuation);
  policy::EndpointSet Barred(const Place& place, From from) const;

  RequestContext& context_;
  Attempt& attempt_;
  Error why_;
  std::vector<Place> places_;
  const EndpointPool* broken_;
  std::uint32_t tries_left_;
};

/// The request that fits what the client has by now. False: there is none.
bool Rescuer::Renew(From from, Continuation& continuation) {
  if (from == From::kStart) return true;
  const llm::StreamSeam& seam = *attempt_.seam();
  if (seam.has_reasoning()) return false;
  llm::JsonParser& json = context_.worker.json;
  std::optional<std::string> body = llm::WriteContinuation(*context_.request, {seam.text(), seam.pieces()}, json);
  if (!body.has_value()) return false;
  continuation.body = std::move(*body);
  const Result<llm::RequestView> request = llm::ParseRequest(context_.family(), continuation.body, json);
  if (!request.has_value()) return false;
  continuation.request = *request;
  return true;
}

policy::EndpointSet Rescuer::Barred(const Place& place, From from) const {
  policy::EndpointSet barred;
  const std::vector<EndpointPoolPtr>& pools = context_.cluster->pools;
  for (std::uint32_t i = 0; i < pools.size(); ++i) {
    // A completion's prompt is gone on with by whoever takes it.
    const bool unable =
        from == From::kEnd && context_.family() == llm::Family::kChat && !pools[i]->endpoint().spec().assistant_prefill;
    const bool broken = pools[i].get() == broken_;
    if (unable || broken != place.broken_too) barred.Insert(i);
  }
  return barred;
}

rt::Task<Rescuer::Outcome> Rescuer::TryPlace(const Place& place, From from) {
  context_.UseModel(*place.model);
  policy::EndpointSet barred = Barred(place, from);
  policy::RetryBudget& budget = *context_.cluster->route->budget;
  rt::Worker& worker = context_.worker.worker;
  while (tries_left_ > 0) {
    policy::Candidates candidates(*context_.cluster->balancer, PickFor(context_));
    Choice choice = ChooseEndpoint(context_, candidates, barred);
    if (choice.slot.pool == nullptr) co_return Outcome::kGoOn;
    Continuation continuation;
    if (!Renew(from, continuation)) co_return Outcome::kUnable;
    // A step to another model is not charged to the budget (contract, section 7).
    if (place.model == places_.front().model && !budget.TryRetry(worker.Now())) co_return Outcome::kGoOn;
    barred.Insert(choice.index);
    --tries_left_;
    const Takeover takeover{from == From::kStart ? &*context_.request : &*continuation.request, from};
    attempt_.Begin(std::move(choice.slot), &takeover);
    co_await attempt_.Done();
    const AttemptResult& result = attempt_.result();
    if (result.kind == AttemptResult::Kind::kDelivered || result.kind == AttemptResult::Kind::kInterrupted)
      co_return Outcome::kOver;
    if (result.kind == AttemptResult::Kind::kBroken) why_ = result.error;
    if (attempt_.never_sent()) {  // nobody was asked
      ++tries_left_;
      --context_.record.attempts;
    }
    const bool refused = result.kind == AttemptResult::Kind::kRefused && result.status < 500 && result.status != 429;
    if (refused) co_return Outcome::kUnable;  // it does not take such a request, and nobody there will
  }
  co_return Outcome::kGoOn;
}

rt::Task<bool> Rescuer::Try(From from) {
  for (const Place& place : places_) {
    const Outcome outcome = co_await TryPlace(place, from);
    if (outcome == Outcome::kOver) co_return true;
    if (outcome == Outcome::kUnable && from == From::kEnd) break;
    if (tries_left_ == 0) break;
  }
  co_return false;
}

}  // namespace

rt::Task<void> Rescue(RequestContext& context, Answer& answer, Attempt& attempt) {
  const ModelRoute& broken = *context.model;
  Rescuer rescuer(context, attempt);
  bool over = false;
  if (context.asked->rescue == config::Rescue::kContinue) over = co_await rescuer.Try(From::kEnd);
  // Who answers by chance would tell another story.
  if (!over && cache::IsDeterministic(*context.request)) over = co_await rescuer.Try(From::kStart);
  telemetry::WorkerMetrics& metrics = context.worker.metrics;
  const bool whole = over && attempt.result().kind == AttemptResult::Kind::kDelivered;
  metrics.gateway.rescues[whole ? 1 : 0].Add(metrics.slab);
  if (whole) co_return;
  context.UseModel(broken);
  if (!over) answer.Break(BreakPoint::kBetweenEvents, rescuer.why());
  NoteInterrupted(context, over ? attempt.result().error : rescuer.why());
}

}  // namespace penstock::proxy
