#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

/// Owned by one Worker. Smooth weighted round robin (nginx, ngx_http_upstream_round_robin.c, 2012): every
/// pick adds each endpoint's weight to its credit, takes the largest credit, and charges the winner with the
/// sum of the weights that took part. Weights 5, 1, 1 give a a b a c a a, not a a a a a b c: calls last
/// seconds, so bursts would hurt, and so would the scatter of a weighted draw.
///
/// A refused pick is charged like a taken one. Thus the share of an unhealthy endpoint is dealt out among the
/// others by weight, and it gathers no credit that would fall upon it when it recovers.
///
/// Credits begin at random below the sum of weights. Only differences of credits matter and each charge
/// balances what the pick added, so the shares are those of the plain algorithm, while workers start out of
/// step. Credits carry kFractionBits below the unit, or equal small weights would start tied and the first
/// index would win the ties.
class Weighted final : public LoadBalancer {
 public:
  Weighted(std::span<const EndpointView> endpoints, Prng& prng) : LoadBalancer(endpoints), credit_(endpoints.size()) {
    std::uint64_t total = 0;
    for (const EndpointView& endpoint : endpoints) total += endpoint.weight;
    for (std::int64_t& credit : credit_) {
      credit = total == 0 ? 0 : static_cast<std::int64_t>(prng.Below(total * kWeightUnit << kFractionBits));
    }
  }

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    const std::vector<EndpointView>& all = endpoints();
    std::optional<std::uint32_t> best;
    std::int64_t total = 0;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      if (tried.Contains(i)) continue;
      const auto weight = static_cast<std::int64_t>(EffectiveWeight(all[i], context.now) << kFractionBits);
      credit_[i] += weight;
      total += weight;
      if (!best || credit_[i] > credit_[*best]) best = i;
    }
    if (best) credit_[*best] -= total;
    return best;
  }

 private:
  /// At most 2^10 weights of 42 bits: sums stay below 2^62.
  static constexpr int kFractionBits = 10;
  std::vector<std::int64_t> credit_;
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeWeighted(std::span<const EndpointView> endpoints, Prng& prng) {
  return std::make_unique<Weighted>(endpoints, prng);
}

}  // namespace penstock::policy
