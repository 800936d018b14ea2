#include "control/breaker_watch.hpp"

namespace penstock::control {

namespace {

int Rank(policy::BreakerState state) noexcept {
  return state == policy::BreakerState::kOpen ? 2 : state == policy::BreakerState::kHalfOpen ? 1 : 0;
}

}  // namespace

void BreakerWatch::Look(const proxy::Snapshot& snapshot, TimePoint now, WallTime wall) {
  WorstStates worst;  // clusters may share an endpoint by its name
  for (const proxy::ModelRoute& model : snapshot.models) {
    Watched& watched = watched_[model.breakers.get()];
    watched.held = model.breakers;
    watched.generation = snapshot.generation;
    LookAt(model, snapshot.clusters[model.cluster], now, wall, worst);
  }
  for (const proxy::ClusterRoute& cluster : snapshot.clusters) {
    for (const auto& endpoint : cluster.endpoints) {
      const auto found = worst.find(endpoint->name());
      endpoint->metrics.breaker.Set(slab_, found == worst.end() ? 0 : Rank(found->second));
      if (endpoint->finds_limit()) endpoint->found_limit.Look(now);
      endpoint->metrics.limit.Set(slab_, endpoint->limit());
    }
  }
  std::erase_if(watched_, [&](const auto& each) { return each.second.generation != snapshot.generation; });
}

void BreakerWatch::LookAt(const proxy::ModelRoute& model, const proxy::ClusterRoute& cluster, TimePoint now,
                          WallTime wall, WorstStates& worst) {
  Watched& watched = watched_[model.breakers.get()];
  const std::uint64_t ejections = model.breakers->ejections();
  const bool open = model.breakers->open() != nullptr;
  if (!open && !watched.open && ejections == watched.ejections) return;
  watched.ejections = ejections;
  watched.open = open;
  watched.endpoints.resize(cluster.endpoints.size());
  for (std::size_t i = 0; i < cluster.endpoints.size(); ++i) {
    Seen& seen = watched.endpoints[i];
    Note(model, *cluster.endpoints[i], (*model.breakers)[i], now, wall, seen);
    const auto [at, fresh] = worst.try_emplace(cluster.endpoints[i]->name(), seen.state);
    if (!fresh && Rank(seen.state) > Rank(at->second)) at->second = seen.state;
  }
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
