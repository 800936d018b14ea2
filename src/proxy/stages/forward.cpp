#include <algorithm>
#include <utility>
#include <vector>

#include "penstock/proxy/variants.hpp"
#include "proxy/answer.hpp"
#include "proxy/cache_key.hpp"
#include "proxy/stages/choose_endpoint.hpp"
#include "proxy/stages/rescue.hpp"
#include "proxy/stages/stages.hpp"
#include "proxy/stages/try_model.hpp"

namespace penstock::proxy {
namespace {

/// Taken before the first attempt, as the asked model's key is: what is purged meanwhile must not come back under a
/// new epoch. Nothing: an answer of `context.model` is not kept.
rt::Task<std::optional<cache::CacheKey>> FallbackKey(RequestContext& context) {
  if (context.model->ttl <= Duration::zero() || !AdmissionOf(context).store) co_return std::nullopt;
  co_return co_await KeyOf(context);
}

/// Owned by one Worker. The models that one request may fall back to, each at most once: behind a variant the model
/// itself, which is busy and not broken, then what the operator lists.
class Fallbacks {
 public:
  Fallbacks(const RequestContext& context, const VariantRoute* variant)
      : context_(context), asked_(*context.asked), asked_is_next_(variant != nullptr) {
    if (variant != nullptr) tried_.push_back(variant->model);
  }

  /// Who is next after `trial`; null: nobody.
  const ModelRoute* Next(const Trial& trial) {
    const bool too_long = trial.refusal == llm::Refusal::kContextLength;
    if (!too_long && !trial.elsewhere) return nullptr;
    if (std::exchange(asked_is_next_, false)) return &asked_;
    const std::vector<std::size_t>& list = too_long ? asked_.context_window_fallbacks : asked_.fallbacks;
    std::size_t& at = too_long ? too_long_at_ : at_;
    while (at < list.size()) {
      const std::size_t index = list[at++];
      // What the operator offers in place of a model is no way around what a key may use.
      if (!context_.tenant->MayUse(index)) continue;
      if (std::find(tried_.begin(), tried_.end(), index) != tried_.end()) continue;
      tried_.push_back(index);
      return &context_.snapshot().models[index];
    }
    return nullptr;
  }

 private:
  const RequestContext& context_;
  const ModelRoute& asked_;
  bool asked_is_next_;
  std::size_t at_ = 0;
  std::size_t too_long_at_ = 0;
  std::vector<std::size_t> tried_;
};

/// What a variant answers is kept nowhere: when the load is gone, everybody is to have the model's own answer again.
void MoveTo(RequestContext& context, const VariantRoute& variant) {
  context.UseModel(context.snapshot().models[variant.model]);
  variant.metrics.requests.Add(context.worker.metrics.slab);
  if (context.cache.lead.has_value()) context.cache.lead->flight().SetAnsweredBy(context.model->name);
}

rt::Task<void> FallBack(RequestContext& context, const ModelRoute& model) {
  context.UseModel(model);
  context.cache.fallback_key.reset();
  if (!context.cache.lead.has_value()) co_return;
  context.cache.fallback_key = co_await FallbackKey(context);
  if (context.cache.lead.has_value()) context.cache.lead->flight().SetAnsweredBy(model.name);
}

}  // namespace

rt::Task<std::optional<Error>> Forward(RequestContext& context, Answer& answer, Attempt& attempt) {
  const VariantRoute* const variant = ChooseVariant(context.snapshot(), *context.asked, context.tenant);
  if (variant != nullptr) MoveTo(context, *variant);
  Fallbacks fallbacks(context, variant);
  const ModelRoute* told = context.model;  // whose outcome the client hears
  Trial trial = co_await TryModel(context, attempt);
  while (!trial.committed() && !context.deadline.Expired(context.now())) {
    const ModelRoute* const next = fallbacks.Next(trial);
    if (next == nullptr) break;
    const std::uint32_t before = context.record.attempts;
    co_await FallBack(context, *next);
    const Trial other = co_await TryModel(context, attempt);
    if (context.record.attempts == before) continue;  // nobody there: what the other model said tells more
    trial = other;
    told = next;
  }
  if (trial.end == Trial::End::kBroken) co_await Rescue(context, answer, attempt);
  if (trial.committed()) co_return std::nullopt;
  if (context.model != told) {
    context.UseModel(*told);
    context.cache.fallback_key.reset();  // a failure is kept nowhere
    if (context.cache.lead.has_value()) context.cache.lead->flight().SetAnsweredBy(told->name);
  }
  if (trial.end == Trial::End::kFailed) {
    if (trial.pause > Duration::zero()) context.record.retry_after = trial.pause;
    co_return trial.error;
  }
  context.record.hopeless = trial.refusal != llm::Refusal::kOther;
  if (context.record.attempts > 1 && !context.record.hopeless) context.record.term = telemetry::Term::kRetriesUsed;
  answer.ReplyUpstream(attempt.refusal_head(), "application/json", attempt.refusal().body, ShortestPause(context));
  co_return std::nullopt;
}

}  // namespace penstock::proxy
