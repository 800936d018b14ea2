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
/// Envoy's zone-aware routing, which also weighs how many gateways each zone has, is not done: this gateway does not
/// know the others.
class Zoned final : public LoadBalancer {
 public:
  Zoned(const BalancerRow& row, std::span<const EndpointView> endpoints, Prng& prng)
      : LoadBalancer(endpoints), inner_(row.make(endpoints, prng)) {
    for (std::uint32_t i = 0; i < endpoints.size(); ++i) {
      const std::uint32_t rank = RankOf(endpoints[i]);
      weight_[rank] += endpoints[i].weight;
      for (std::uint32_t r = 0; r < kZoneRanksMax; ++r) {
        if (r != rank) others_[r].Insert(i);
      }
    }
  }

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    EndpointSet passed = tried;
    std::array<std::uint64_t, kZoneRanksMax> usable{};
    std::array<bool, kZoneRanksMax> open{};  // has one that is usable and was not named yet
    for (std::uint32_t i = 0; i < size(); ++i) {
      const EndpointView& endpoint = endpoints()[i];
      const bool left_alone = context.breakers != nullptr && !(*context.breakers)[i].Admits(context.now);
      if (left_alone || !endpoint.load->usable()) {
        passed.Insert(i);
        continue;
      }
      usable[RankOf(endpoint)] += endpoint.weight;
      if (!tried.Contains(i)) open[RankOf(endpoint)] = true;
    }
    std::uint32_t rank = Draw(usable, context);
    if (!open[rank]) rank = static_cast<std::uint32_t>(std::find(open.begin(), open.end(), true) - open.begin());
    if (rank == kZoneRanksMax) return inner_->Pick(tried, context);
    passed.InsertAll(others_[rank]);
    return inner_->Pick(passed, context);
  }

 private:
  static std::uint32_t RankOf(const EndpointView& endpoint) noexcept {
    return std::min(endpoint.zone_rank, kZoneRanksMax - 1);
  }

  std::uint32_t Draw(const std::array<std::uint64_t, kZoneRanksMax>& usable, PickContext& context) const noexcept {
    std::array<double, kZoneRanksMax> health{};
    double sum = 0;
    for (std::uint32_t r = 0; r < kZoneRanksMax; ++r) {
      if (weight_[r] == 0) continue;
      const double share = static_cast<double>(usable[r]) / static_cast<double>(weight_[r]);
      health[r] = std::min(1.0, kOverprovisioning * share);
      sum += health[r];
    }
    const double u =
        context.hash ? static_cast<double>(*context.hash & 0xffffffff) * 0x1.0p-32 : context.prng.Uniform();
    double left = u * std::min(1.0, sum);
    for (std::uint32_t r = 0; r < kZoneRanksMax; ++r) {
      if (left < health[r]) return r;
      left -= health[r];
    }
    return 0;
  }

  std::unique_ptr<LoadBalancer> inner_;
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
