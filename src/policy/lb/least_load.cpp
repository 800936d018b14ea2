#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

/// Owned by one Worker. The endpoint with the least load per weight: this gateway's own requests in flight, long
/// prompts counting more (UnitsOfPrompt).
///
/// Ties are drawn with chances as the weights (a reservoir of one, Chao 1982), because the first index of a
/// cold fleet, where everything ties at 0, would else get every worker's every request until the first lease
/// shows; and an idle fleet is to be used by weight too. Ratios are compared crosswise in 64 bits: no
/// division. Below 2^22 units of load on one endpoint that is exact.
///
/// A full scan, not the power of two choices: a cluster has tens of endpoints, a scan of 100 is well under
/// the microsecond it may cost, and with few slots per replica the exact minimum is worth having.
class LeastLoad final : public LoadBalancer {
 public:
  explicit LeastLoad(std::span<const EndpointView> endpoints) : LoadBalancer(endpoints) {}

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    const std::vector<EndpointView>& all = endpoints();
    std::optional<std::uint32_t> best;
    std::uint64_t best_load = 0;
    std::uint64_t best_weight = 1;
    std::uint64_t tied_weight = 0;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      if (tried.Contains(i)) continue;
      const std::uint64_t load = all[i].load->load();
      const std::uint64_t weight = EffectiveWeight(all[i], context.now);
      const std::uint64_t ours = load * best_weight;
      const std::uint64_t theirs = best_load * weight;
      if (best && ours > theirs) continue;
      if (!best || ours < theirs) tied_weight = 0;
      tied_weight += weight;
      if (tied_weight == weight || context.prng.Below(tied_weight) < weight) {
        best = i;
        best_load = load;
        best_weight = weight;
      }
    }
    return best;
  }
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeLeastLoad(std::span<const EndpointView> endpoints, Prng&) {
  return std::make_unique<LeastLoad>(endpoints);
}

}  // namespace penstock::policy
