#include "penstock/base/assert.hpp"
#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

constexpr BalancerRow kBalancers[] = {
    {"round_robin", false, MakeRoundRobin},        {"weighted", true, MakeWeighted},
    {"least_load", true, MakeLeastLoad},           {"p2c_ewma", true, MakeP2cEwma},
    {"consistent_hash", true, MakeConsistentHash},
};

}  // namespace

std::span<const BalancerRow> Balancers() noexcept { return kBalancers; }

const BalancerRow* FindBalancer(std::string_view name) noexcept {
  for (const BalancerRow& row : kBalancers) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

LoadBalancer::LoadBalancer(std::span<const EndpointView> endpoints) : endpoints_(endpoints.begin(), endpoints.end()) {
  PENSTOCK_ASSERT(endpoints.size() <= kEndpointsMax);
  for (std::uint32_t i = 0; i < endpoints_.size(); ++i) {
    if (endpoints_[i].weight == 0) excluded_.Insert(i);
  }
}

}  // namespace penstock::policy
