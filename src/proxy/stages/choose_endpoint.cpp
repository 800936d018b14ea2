#include "proxy/stages/choose_endpoint.hpp"

#include "proxy/balance_key.hpp"

namespace penstock::proxy {

Choice ChooseEndpoint(const RequestContext& context, policy::Candidates& candidates,
                      const policy::EndpointSet& barred) {
  const ClusterView& cluster = *context.cluster;
  const TimePoint now = context.now();
  const std::uint32_t units = UnitsOf(context);
  Choice choice;
  while (const std::optional<std::uint32_t> index = candidates.Next()) {
    if (barred.Contains(*index)) continue;
    EndpointPool& pool = *cluster.pools[*index];
    upstream::Endpoint& endpoint = pool.endpoint();
    policy::CircuitBreaker& breaker = (*context.model->breakers)[*index];
    if (!endpoint.usable() || !breaker.Admits(now)) continue;
    if (const TimePoint ready = std::max(endpoint.rest.until(), pool.calm_until()); ready > now) {
      choice.rest_ends = std::min(choice.rest_ends, ready);
      continue;
    }
    choice.someone_usable = true;
    std::optional<policy::LoadLease> lease = endpoint.load.TryLease(endpoint.limit(), units);
    if (!lease.has_value()) continue;
    std::optional<policy::BreakerPermit> permit = breaker.Take(now);
    if (!permit.has_value()) continue;  // another request took the probe
    choice.slot.permit = std::move(*permit);
    choice.slot.pool = &pool;
    choice.index = *index;
    choice.slot.lease = std::move(*lease);
    return choice;
  }
  return choice;
}

Duration ShortestPause(const RequestContext& context) {
  TimePoint first = TimePoint::Max();
  for (const EndpointPoolPtr& pool : context.cluster->pools) {
    const upstream::Endpoint& endpoint = pool->endpoint();
    if (!endpoint.usable()) continue;
    if (!endpoint.rest.Resting(context.now())) return Duration::zero();
    first = std::min(first, endpoint.rest.until());
  }
  return first == TimePoint::Max() ? Duration::zero() : first - context.now();
}

}  // namespace penstock::proxy
