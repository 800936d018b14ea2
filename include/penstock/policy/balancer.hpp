#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/policy/endpoint_load.hpp"

/// A policy proposes candidates, the caller disposes. The policy knows weights and load; whether an endpoint
/// is healthy, has room or was silent before is the caller's affair: it takes the first candidate that suits
/// it. The walk is bounded because a candidate is never proposed twice.
namespace penstock::policy {

/// Endpoints in one cluster; the configuration refuses more.
inline constexpr std::size_t kEndpointsMax = 1024;

/// What a policy sees of an endpoint. Its index in the cluster is its identity.
struct EndpointView {
  const EndpointLoad* load = nullptr;  ///< outlives the balancer
  std::uint32_t weight = 1;            ///< 0 = never proposed: how an operator empties an endpoint
};

/// Owned by one Worker. A set of endpoint indices below kEndpointsMax.
class EndpointSet {
 public:
  bool Contains(std::uint32_t i) const noexcept { return (words_[i / 64] >> (i % 64) & 1) != 0; }
  void Insert(std::uint32_t i) noexcept { words_[i / 64] |= std::uint64_t{1} << (i % 64); }

 private:
  std::uint64_t words_[kEndpointsMax / 64] = {};
};

/// What a policy may look at besides the endpoints. A field per need: a request's hash, its zone, the time.
struct PickContext {
  Prng& prng;
};

/// Owned by one Worker. Each worker has its own object per cluster, only the load behind it is shared.
class LoadBalancer {
 public:
  virtual ~LoadBalancer() = default;

  /// The best endpoint outside `tried`, or none when all are in it. O(endpoints), no allocation.
  virtual std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) = 0;

  std::size_t size() const noexcept { return endpoints_.size(); }
  const EndpointSet& excluded() const noexcept { return excluded_; }  ///< those of weight 0

 protected:
  explicit LoadBalancer(std::span<const EndpointView> endpoints);
  const std::vector<EndpointView>& endpoints() const noexcept { return endpoints_; }

 private:
  std::vector<EndpointView> endpoints_;
  EndpointSet excluded_;
};

/// Owned by one Worker. One request's walk: every index at most once, so it ends after at most size() steps.
/// Lives as long as the request's attempts do, so that a retry goes elsewhere; must not outlive the balancer
/// and the context.
class Candidates {
 public:
  Candidates(LoadBalancer& balancer, PickContext context) noexcept
      : balancer_(&balancer), context_(context), tried_(balancer.excluded()) {}

  std::optional<std::uint32_t> Next() {
    const std::optional<std::uint32_t> pick = balancer_->Pick(tried_, context_);
    if (pick) tried_.Insert(*pick);
    return pick;
  }

 private:
  LoadBalancer* balancer_;
  PickContext context_;
  EndpointSet tried_;
};

/// Immutable. One row per policy: a new one is a file in src/policy/lb and a row in src/policy/lb/table.cpp.
struct BalancerRow {
  std::string_view name;  ///< as `balancer.policy` in the configuration spells it
  bool weighted;          ///< shares follow the weights
  /// `prng` shakes the start, so that workers and reloads do not begin at the same endpoint.
  std::unique_ptr<LoadBalancer> (*make)(std::span<const EndpointView> endpoints, Prng& prng);
};

std::span<const BalancerRow> Balancers() noexcept;
const BalancerRow* FindBalancer(std::string_view name) noexcept;  ///< nullptr when unknown

}  // namespace penstock::policy
