#include "proxy/attempt.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {
namespace {

using cache::Landing;

/// The upstream would say the same to everybody who asks the same.
bool IsOfTheRequest(std::uint16_t status) noexcept {
  switch (status) {
    case 400:
    case 404:
    case 413:
    case 414:
    case 415:
    case 422: return true;
    default: return false;
  }
}

/// Under what the answer is kept: the key of the model that gave it, never the one asked for. Nothing: not at all.
std::optional<cache::CacheKey> KeyToKeep(const RequestContext& context, const cache::Lead& lead) {
  if (context.model == context.asked) {
    return context.cache.admission.store ? std::optional(lead.key()) : std::nullopt;
  }
  return context.cache.fallback_key;
}

void KeepWhole(RequestContext& context, cache::Lead& lead) {
  std::optional<cache::Entry> entry;
  const std::optional<cache::CacheKey> key = KeyToKeep(context, lead);
  const bool keep = key.has_value() && lead.Judged() == cache::Verdict::kStore;
  const WallTime now = context.worker.worker.Wall();
  if ((keep || lead.followed()) && lead.Taken().has_value()) entry = lead.MakeEntry(now, context.model->ttl);
  if (keep && entry.has_value()) {
    entry->scope = key->scope;
    entry->purges_heard = context.cache.purges_heard;
    context.worker.tiers.Store(*key, *entry, now, context.cache.key_purges);
  }
  lead.Land(Landing::kWhole, std::move(entry));
}

}  // namespace

void Keep(RequestContext& context, const Attempt& attempt, const std::optional<Error>& error) {
  if (!context.cache.lead.has_value()) return;
  cache::Lead& lead = *context.cache.lead;
  if (error.has_value()) {
    // Without an attempt there was nothing to wait for: everybody hears that for himself, at once. But a pause may have
    // been waited for, or a turn in the queue, and is by one at a time.
    const bool waited = error->code == ErrorCode::kRequestsExceeded || error->code == ErrorCode::kQueueTimeout ||
                        context.record.queued > Duration::zero();
    const bool at_once = context.record.attempts == 0 && !waited;
    lead.Land(at_once ? Landing::kAlone : Landing::kFailed);
    return;
  }
  switch (attempt.result().kind) {
    case AttemptResult::Kind::kDelivered: KeepWhole(context, lead); return;
    case AttemptResult::Kind::kRefused:
      if (lead.committed()) {
        lead.Land(Landing::kFailed);  // somebody who was to go on with a stream that broke
      } else if (context.record.hopeless || IsOfTheRequest(attempt.result().status)) {
        lead.Land(Landing::kRefused, std::nullopt, {attempt.result().status, attempt.refusal_as_sent()});
      } else {
        lead.Land(Landing::kFailed);
      }
      return;
    case AttemptResult::Kind::kFailed:
    case AttemptResult::Kind::kInterrupted:
    case AttemptResult::Kind::kBroken: lead.Land(Landing::kFailed); return;
  }
}

}  // namespace penstock::proxy
