#include "proxy/cache_key.hpp"
#include "proxy/cached_answer.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

bool LookUp(RequestContext& context, Answer& answer) {
  CachePart& part = context.cache;
  part.status = CacheStatus::kBypass;
  if (!context.snapshot().config.cache.enabled || context.model->ttl <= Duration::zero()) return false;
  part.admission = AdmissionOf(context);
  if (part.admission.bypass) return false;
  part.key = KeyOf(context);
  if (!part.key.has_value()) {
    part.admission = {};
    return false;
  }
  part.status = CacheStatus::kMiss;
  part.key_purges = context.worker.tiers.shared().key_purges.load();
  return part.admission.lookup && AnswerFromMemory(context, answer);
}

}  // namespace penstock::proxy
