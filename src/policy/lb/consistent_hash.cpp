#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

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
      : LoadBalancer(endpoints), keyless_(MakeLeastLoad(endpoints, prng)) {
    for (const EndpointView& endpoint : endpoints) {
      const std::uint64_t id = endpoint.id != 0 ? endpoint.id : draws_.size() + 1;
      const auto of_weight = [&](const Front& front) { return front.weight == endpoint.weight; };
      const auto front = std::find_if(fronts_.begin(), fronts_.end(), of_weight);
      draws_.push_back({Mix(id), static_cast<std::uint32_t>(front - fronts_.begin())});
      if (front == fronts_.end()) fronts_.push_back({endpoint.weight});
    }
  }

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    if (!context.hash) return keyless_->Pick(tried, context);
    const auto roomy = First(tried, context, RoomPerWeight(tried, context));
    // Other workers may have taken the last room since it was counted.
    return roomy ? roomy : First(tried, context, kNoBound);
  }

 private:
  static constexpr double kNoBound = std::numeric_limits<double>::infinity();

  /// How an endpoint draws.
  struct Draw {
    std::uint64_t id;
    std::uint32_t front;  ///< among whom first
  };
  /// Endpoints of one weight. Among them the largest number wins: only the winners need a logarithm.
  struct Front {
    std::uint32_t weight;
    std::uint32_t best = 0;
    std::uint64_t drawn = 0;  ///< by it: 1 to 2^53; 0: nobody has drawn
  };

  /// The first in the key's order that has room.
  std::optional<std::uint32_t> First(const EndpointSet& tried, const PickContext& context, double per_weight) {
    const std::uint64_t key = *context.hash;
    const std::span draws(draws_);
    const std::span fronts(fronts_);
    for (Front& front : fronts) front.drawn = 0;
    tried.ForEachOutside(size(), [&, key, draws, fronts](std::uint32_t i) {
      const std::uint64_t drawn = (Mix(key + draws[i].id) >> 11) + 1;
      Front& front = fronts[draws[i].front];
      if (drawn <= front.drawn || !HasRoom(endpoints()[i], context, per_weight)) return;
      front.best = i;
      front.drawn = drawn;
    });
    std::optional<std::uint32_t> best;
    double least = kNoBound;
    for (const Front& front : fronts_) {
      if (front.drawn == 0) continue;
      // -ln u >= 1 - u: most need no logarithm.
      const double u = static_cast<double>(front.drawn) * 0x1.0p-53;
      const double bound = least * front.weight;
      if (best && 1.0 - u >= bound) continue;
      const double drawn = -std::log(u);
      if (best && drawn >= bound) continue;
      best = front.best;
      least = drawn / front.weight;
    }
    return best;
  }

  static bool HasRoom(const EndpointView& endpoint, const PickContext& context, double per_weight) noexcept {
    const auto weight = static_cast<double>(EffectiveWeight(endpoint, context.now));
    return static_cast<double>(endpoint.load->load()) < per_weight * weight;
  }

  /// The load that an endpoint may have per unit of its effective weight; no bound where none is usable.
  double RoomPerWeight(const EndpointSet& tried, const PickContext& context) const {
    std::uint64_t units = context.units;
    std::uint64_t weight = 0;
    tried.ForEachOutside(size(), [&](std::uint32_t i) {
      const EndpointView& endpoint = endpoints()[i];
      if (!Usable(i, context)) return;
      units += endpoint.load->load();
      weight += EffectiveWeight(endpoint, context.now);
    });
    if (weight == 0) return kNoBound;
    return kBalanceFactor * static_cast<double>(units) / static_cast<double>(weight);
  }

  std::unique_ptr<LoadBalancer> keyless_;
  std::vector<Draw> draws_;
  std::vector<Front> fronts_;  ///< one per weight; what First() finds is its own
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeConsistentHash(std::span<const EndpointView> endpoints, Prng& prng) {
  return std::make_unique<ConsistentHash>(endpoints, prng);
}

}  // namespace penstock::policy
