#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/policy/circuit_breaker.hpp"
#include "penstock/policy/endpoint_load.hpp"
#include "penstock/policy/slow_start.hpp"

/// A policy proposes candidates, the caller disposes. The policy knows weights and load; whether an endpoint
/// is healthy, has room or was silent before is the caller's affair: it takes the first candidate that suits
/// it. The walk is bounded because a candidate is never proposed twice. Some policies look at EndpointLoad::usable()
/// to know how much of a cluster is left; they propose the others all the same.
namespace penstock::policy {

/// Endpoints in one cluster; the configuration refuses more.
inline constexpr std::size_t kEndpointsMax = 1024;
/// Distances that are told apart; endpoints beyond count as the farthest.
inline constexpr std::uint32_t kZoneRanksMax = 8;

/// What a policy sees of an endpoint. Its index in the cluster is its identity.
struct EndpointView {
  const EndpointLoad* load = nullptr;  ///< outlives the balancer
  std::uint32_t weight = 1;            ///< 0 = never proposed: how an operator empties an endpoint
  std::uint32_t zone_rank = 0;         ///< 0 = near; for MakeZoned
  Duration slow_start{0};              ///< 0 = off
  /// Unlike the index the same after a reload and in every gateway, such as a hash of name and address, and another
  /// one for every endpoint; for consistent_hash. 0 = the index will do.
  std::uint64_t id = 0;
};

/// The weight as of now, in 1 / kWeightUnit: less during a slow start. 0 only for weight 0. Below 2^42.
inline std::uint64_t EffectiveWeight(const EndpointView& endpoint, TimePoint now) noexcept {
  // Without slow start the shared line is not touched.
  if (endpoint.slow_start.count() == 0) return endpoint.weight * kWeightUnit;
  return endpoint.weight * SlowStartShare(endpoint.load->recovered_at(), now, endpoint.slow_start);
}

/// Owned by one Worker. A set of endpoint indices below kEndpointsMax.
class EndpointSet {
 public:
  bool Contains(std::uint32_t i) const noexcept { return (words_[i / 64] >> (i % 64) & 1) != 0; }
  void Insert(std::uint32_t i) noexcept { words_[i / 64] |= std::uint64_t{1} << (i % 64); }
  void InsertAll(const EndpointSet& other) noexcept {
    for (std::size_t w = 0; w < kEndpointsMax / 64; ++w) words_[w] |= other.words_[w];
  }
  /// `each` with every index below `size` that is not in it, in order. Costs nothing for those that are.
  template <class Each>
  void ForEachOutside(std::size_t size, Each each) const {
    for (std::size_t first = 0; first < size; first += 64) {
      std::uint64_t left = ~words_[first / 64];
      if (size - first < 64) left &= (std::uint64_t{1} << (size - first)) - 1;
      for (; left != 0; left &= left - 1)
        each(static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(std::countr_zero(left)));
    }
  }

 private:
  std::uint64_t words_[kEndpointsMax / 64] = {};
};

/// What a policy may look at besides the endpoints: a field per need.
struct PickContext {
  Prng& prng;
  TimePoint now{};  ///< when the walk begins; retries of a request may use it still
  /// Of the request's key (a header, `user`, the beginning of the prompt); 64 bits that are all good. For
  /// consistent_hash.
  std::optional<std::uint64_t> hash = std::nullopt;
  std::uint32_t units = 1;  ///< of load that the request will be: UnitsOfPrompt()
  /// Of the request's model, one per endpoint: whom one of them leaves alone is unusable. Null: none is open.
  const std::deque<CircuitBreaker>* breakers = nullptr;
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
  /// Well, and not left alone for the request's model.
  bool Usable(std::uint32_t i, const PickContext& context) const noexcept {
    return endpoints_[i].load->usable() && (context.breakers == nullptr || (*context.breakers)[i].Admits(context.now));
  }

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

/// The policy of `row`, near endpoints first: see src/policy/lb/zoned.cpp for when the far ones are used. The policy
/// itself where all are of one rank.
std::unique_ptr<LoadBalancer> MakeZoned(const BalancerRow& row, std::span<const EndpointView> endpoints, Prng& prng);

}  // namespace penstock::policy
