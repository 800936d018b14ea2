#include "control/breaker_watch.hpp"

#include <string_view>

namespace penstock::control {

void BreakerWatch::Look(const proxy::Snapshot& snapshot, TimePoint now, WallTime wall) {
  std::unordered_map<std::string_view, policy::BreakerState> worst;  // clusters may share an endpoint by its name
  const auto rank = [](policy::BreakerState state) {
    return state == policy::BreakerState::kOpen ? 2 : state == policy::BreakerState::kHalfOpen ? 1 : 0;
  };
  for (const proxy::ModelRoute& model : snapshot.models) {
    const auto& endpoints = snapshot.clusters[model.cluster].endpoints;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      const policy::CircuitBreaker& breaker = (*model.breakers)[i];
      Seen& seen = seen_[&breaker];
      seen.generation = snapshot.generation;
      Note(model, *endpoints[i], breaker, now, wall, seen);
      policy::BreakerState& state = worst.try_emplace(endpoints[i]->name(), seen.state).first->second;
      if (rank(seen.state) > rank(state)) state = seen.state;
    }
  }
  for (const proxy::ClusterRoute& cluster : snapshot.clusters) {
    for (const auto& endpoint : cluster.endpoints) {
      endpoint->metrics.breaker.Set(slab_, rank(worst.try_emplace(endpoint->name()).first->second));
      if (endpoint->finds_limit()) endpoint->found_limit.Look(now);
      endpoint->metrics.limit.Set(slab_, endpoint->limit());
    }
  }
  std::erase_if(seen_, [&](const auto& each) { return each.second.generation != snapshot.generation; });
}

void BreakerWatch::Note(const proxy::ModelRoute& model, const upstream::Endpoint& endpoint,
                        const policy::CircuitBreaker& breaker, TimePoint now, WallTime wall, Seen& seen) {
  const policy::BreakerState state = breaker.state(now);
  const std::uint64_t opened = breaker.opened_total();
  if (opened > seen.opened) {
    log_.Warn(wall, "circuit breaker opened",
              {{"endpoint", endpoint.name()}, {"model", model.name}, {"times", opened - seen.opened}});
  }
  if (state == policy::BreakerState::kClosed && (seen.state != state || opened != seen.opened)) {
    log_.Info(wall, "circuit breaker closed", {{"endpoint", endpoint.name()}, {"model", model.name}});
  }
  seen.state = state;
  seen.opened = opened;
}

void BreakerWatch::OnChecked(const proxy::Snapshot& snapshot, const upstream::Endpoint& endpoint,
                             std::uint32_t good_in_a_row) {
  for (const proxy::ModelRoute& model : snapshot.models) {
    const auto& endpoints = snapshot.clusters[model.cluster].endpoints;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      if (endpoints[i].get() == &endpoint) (*model.breakers)[i].OnActiveChecks(good_in_a_row);
    }
  }
}

}  // namespace penstock::control
