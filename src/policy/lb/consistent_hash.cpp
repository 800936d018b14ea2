#include <cmath>
#include <limits>

#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

/// No endpoint shall have more than so many times its fair share of the load (HAProxy recommends 1.25 to
/// 2 for `hash-balance-factor`).
constexpr double kBalanceFactor = 1.25;

/// The finalizer of SplitMix64: every bit of the key and of the endpoint's identity moves every bit of the result.
std::uint64_t Mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Owned by one Worker. Equal keys go to the same endpoint, where their prefix is warm, as long as that one is not
/// overloaded; keys that have no hash go where the load is least.
///
/// Rendezvous hashing (Thaler and Ravishankar 1998) with the weights of Schindelhauer and Schomaker ("Weighted
/// Distributed Hash Tables", 2005): each endpoint draws from the key an exponential of its weight, the least wins.
/// Against a ring: no memory, shares exactly as the weights, the keys of an endpoint that leaves are dealt out among
/// all others and no other key moves. The scan that it costs is needed for the load anyway.
///
/// Bounded load (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016): an endpoint at
/// kBalanceFactor times its share of the load, this request counted, is passed over for the next in the key's
/// order. Fair shares are those among the usable that the walk has not named yet: one of these always has room. A slow
/// start lowers the share and moves no key.
class ConsistentHash final : public LoadBalancer {
 public:
  ConsistentHash(std::span<const EndpointView> endpoints, Prng& prng)
      : LoadBalancer(endpoints), keyless_(MakeLeastLoad(endpoints, prng)), ids_(endpoints.size()) {
    for (std::size_t i = 0; i < endpoints.size(); ++i) ids_[i] = Mix(endpoints[i].id != 0 ? endpoints[i].id : i + 1);
  }

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    if (!context.hash) return keyless_->Pick(tried, context);
    const auto roomy = First(tried, context, RoomPerWeight(tried, context));
    // Other workers may have taken the last room since it was counted.
    return roomy ? roomy : First(tried, context, kNoBound);
  }

 private:
  static constexpr double kNoBound = std::numeric_limits<double>::infinity();

  /// The first in the key's order that has room.
  std::optional<std::uint32_t> First(const EndpointSet& tried, const PickContext& context, double per_weight) const {
    std::optional<std::uint32_t> best;
    double least = kNoBound;
    for (std::uint32_t i = 0; i < size(); ++i) {
      if (tried.Contains(i)) continue;
      const EndpointView& endpoint = endpoints()[i];
      // -ln u >= 1 - u: most endpoints need no logarithm.
      const double u = static_cast<double>((Mix(*context.hash + ids_[i]) >> 11) + 1) * 0x1.0p-53;
      const double bound = least * endpoint.weight;
      if (best && 1.0 - u >= bound) continue;
      const double drawn = -std::log(u);
      if (best && drawn >= bound) continue;
      const auto weight = static_cast<double>(EffectiveWeight(endpoint, context.now));
      if (static_cast<double>(endpoint.load->load()) >= per_weight * weight) continue;
      best = i;
      least = drawn / endpoint.weight;
    }
    return best;
  }

  /// The load that an endpoint may have per unit of its effective weight; no bound where none is usable.
  double RoomPerWeight(const EndpointSet& tried, const PickContext& context) const noexcept {
    std::uint64_t units = context.units;
    std::uint64_t weight = 0;
    for (std::uint32_t i = 0; i < size(); ++i) {
      const EndpointView& endpoint = endpoints()[i];
      if (tried.Contains(i) || !endpoint.load->usable()) continue;
      units += endpoint.load->load();
      weight += EffectiveWeight(endpoint, context.now);
    }
    if (weight == 0) return kNoBound;
    return kBalanceFactor * static_cast<double>(units) / static_cast<double>(weight);
  }

  std::unique_ptr<LoadBalancer> keyless_;
  std::vector<std::uint64_t> ids_;
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeConsistentHash(std::span<const EndpointView> endpoints, Prng& prng) {
  return std::make_unique<ConsistentHash>(endpoints, prng);
}

}  // namespace penstock::policy
