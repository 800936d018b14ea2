#include "penstock/cache/shared_cache.hpp"
#include "proxy/cache_key.hpp"
#include "proxy/cached_answer.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

rt::Task<bool> LookUp(RequestContext& context, Answer& answer) {
  CachePart& part = context.cache;
  part.status = CacheStatus::kBypass;
  if (!context.snapshot().config.cache.enabled || context.model->ttl <= Duration::zero()) co_return false;
  part.admission = AdmissionOf(context);
  if (part.admission.bypass) co_return false;
  const cache::SharedCache& shared = context.worker.tiers.shared();
  part.key_purges = shared.key_purges.load();
  part.purges_heard = shared.redis_purges.heard();
  part.epochs = SumOfEpochs(context);
  part.key = co_await KeyOf(context);
  if (!part.key.has_value()) {
    part.admission = {};
    co_return false;
  }
  part.status = CacheStatus::kMiss;
  co_return part.admission.lookup&& AnswerFromMemory(context, answer);
}

}  // namespace penstock::proxy
