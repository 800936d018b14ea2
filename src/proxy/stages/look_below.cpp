#include "proxy/cached_answer.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

rt::Task<bool> LookBelow(RequestContext& context, Answer& answer) {
  CachePart& part = context.cache;
  if (!part.admission.lookup) co_return false;
  // Between the first look and taking the lead another call may have ended.
  const WallTime now = context.worker.worker.Wall();
  cache::Tiers& tiers = context.worker.tiers;
  std::optional<cache::Found> found;
  if (part.lead.has_value()) {
    if (auto entry = tiers.FindInMemory(part.key->digest, now, cache::Counted::kHit))
      found.emplace(std::move(*entry), cache::TierName::kMemory);
  }
  if (!found.has_value()) found = co_await tiers.FindBelow(*part.key, now);
  if (!found.has_value() || !MayServe(context, found->entry)) co_return false;
  const CacheStatus status = found->tier == cache::TierName::kMemory  ? CacheStatus::kHitMemory
                             : found->tier == cache::TierName::kRedis ? CacheStatus::kHitRedis
                                                                      : CacheStatus::kHitDisk;
  if (!AnswerFromEntry(context, answer, found->entry, status)) co_return false;
  if (part.lead.has_value()) part.lead->Land(cache::Landing::kWhole, std::move(found->entry));
  co_return true;
}

}  // namespace penstock::proxy
