#include <algorithm>
#include <array>

#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

/// Envoy's: a rank takes its full part of the requests until less than 1 / 1.4 = 71 % of its weight is usable.
constexpr double kOverprovisioning = 1.4;

/// Owned by one Worker. Near endpoints first, and no more for them than is left of them.
///
/// The rule is Envoy's for priority levels, with ranks by distance as the levels: rank r can take health(r) =
/// min(1, 1.4 times the usable share of its weight) of all requests; rank 0 gets as much, rank 1 what is left up to its
/// own, and so on; when all together cannot take everything, they share in these proportions. Which rank a request
/// begins in is drawn, from its hash where there is one, so that a key's requests overflow together.
///
/// Room needs no rule: who is full is refused by the caller, and when nobody in the drawn rank is left the walk goes
/// on with the next, nearest first. Unusable endpoints, those among them that a breaker leaves alone, come last: a walk
/// that had to get past them would draw again each time, and send more away than the rule says.
///
/// Each rank has a policy of its own, so that one which goes in turn goes on where it was in that rank.
///
/// Envoy's zone-aware routing, which also weighs how many gateways each zone has, is not done: this gateway does not
/// know the others.
class Zoned final : public LoadBalancer {
 public:
  Zoned(const BalancerRow& row, std::span<const EndpointView> endpoints, Prng& prng) : LoadBalancer(endpoints) {
    for (std::uint32_t i = 0; i < endpoints.size(); ++i) {
      const std::uint32_t rank = RankOf(endpoints[i]);
      weight_[rank] += endpoints[i].weight;
      for (std::uint32_t r = 0; r < kZoneRanksMax; ++r) {
        if (r != rank) others_[r].Insert(i);
      }
      if (inner_[rank] == nullptr) inner_[rank] = row.make(endpoints, prng);
    }
    anywhere_ = inner_[RankOf(endpoints.front())].get();
  }

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    Look look{tried};
    std::uint32_t rank = Draw(look, context);
    if (!look.open[rank]) rank = NearestOpen(look, context);
    if (rank == kZoneRanksMax) return anywhere_->Pick(tried, context);
    look.passed.InsertAll(others_[rank]);
    return inner_[rank]->Pick(look.passed, context);
  }

 private:
  /// What a pick has seen, from the nearest rank on and no farther than it needs.
  struct Look {
    EndpointSet passed;  ///< named before, or unusable in a rank that was looked at
    std::uint32_t ranks = 0;
    std::array<double, kZoneRanksMax> health{};
    std::array<bool, kZoneRanksMax> open{};  ///< has one that is usable and was not named yet
  };

  static std::uint32_t RankOf(const EndpointView& endpoint) noexcept {
    return std::min(endpoint.zone_rank, kZoneRanksMax - 1);
  }

  void LookFarther(Look& look, const PickContext& context) const {
    const std::uint32_t rank = look.ranks++;
    if (weight_[rank] == 0) return;
    std::uint64_t usable = 0;
    others_[rank].ForEachOutside(size(), [&](std::uint32_t i) {
      if (!Usable(i, context)) return look.passed.Insert(i);
      usable += endpoints()[i].weight;
      if (!look.passed.Contains(i)) look.open[rank] = true;
    });
    const double share = static_cast<double>(usable) / static_cast<double>(weight_[rank]);
    look.health[rank] = std::min(1.0, kOverprovisioning * share);
  }

  std::uint32_t Draw(Look& look, PickContext& context) const {
    double sum = 0;
    while (sum < 1.0 && look.ranks < kZoneRanksMax) {
      LookFarther(look, context);
      sum += look.health[look.ranks - 1];
    }
    const double u =
        context.hash ? static_cast<double>(*context.hash & 0xffffffff) * 0x1.0p-32 : context.prng.Uniform();
    double left = u * std::min(1.0, sum);
    for (std::uint32_t r = 0; r < look.ranks; ++r) {
      if (left < look.health[r]) return r;
      left -= look.health[r];
    }
    return 0;
  }

  /// kZoneRanksMax: nobody that is usable is left.
  std::uint32_t NearestOpen(Look& look, const PickContext& context) const {
    for (std::uint32_t r = 0; r < kZoneRanksMax; ++r) {
      if (r == look.ranks) LookFarther(look, context);
      if (look.open[r]) return r;
    }
    return kZoneRanksMax;
  }

  std::array<std::unique_ptr<LoadBalancer>, kZoneRanksMax> inner_;  ///< of ranks that have endpoints
  LoadBalancer* anywhere_;                                          ///< one of them, for when nobody is usable
  std::array<std::uint64_t, kZoneRanksMax> weight_{};
  std::array<EndpointSet, kZoneRanksMax> others_;  ///< the endpoints of all ranks but this
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeZoned(const BalancerRow& row, std::span<const EndpointView> endpoints, Prng& prng) {
  const auto differs = [&](const EndpointView& e) { return e.zone_rank != endpoints.front().zone_rank; };
  if (std::none_of(endpoints.begin(), endpoints.end(), differs)) return row.make(endpoints, prng);
  return std::make_unique<Zoned>(row, endpoints, prng);
}

}  // namespace penstock::policy
