#include <algorithm>

#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

/// One of a pair counts as so many times as slow as the other at most, and so does one that has requests and never gave
/// a sample.
///
/// Without a bound one long prompt keeps an endpoint from getting the requests whose samples would clear it. With it a
/// slow one still gets little, since what is slow also stays long in flight: of half the requests in flight, half the
/// rate again for every doubling of its time. Where little is in flight the slower of a pair gets nothing either way.
///
/// For those without a sample Finagle's penalty is practically infinite; then the first endpoints of a cold fleet to
/// answer, which are those that happened to be quick, get all requests until everybody has answered.
constexpr double kContrast = 2.0;

/// Owned by one Worker. Two different endpoints are drawn with chances as their weights, and the one that costs less
/// gets the request: latency times load, the request to come included, per weight (Mitzenmacher, "The Power of Two
/// Choices in Randomized Load Balancing", 2001; Finagle's P2C over PeakEwma). An idle endpoint without a sample costs
/// nothing: it is tried. On a tie the first drawn wins, so that a fleet that was never asked is used by weight.
///
/// Where least_load reads every endpoint's line this reads two, and workers that see the same numbers do not all
/// choose the same minimum.
///
/// A draw is a search in the sums of the full weights. What it hits may be in the walk already, or start slowly and let
/// part of its draws pass; then it is drawn again, and after kDraws of those by a scan, which is exact.
class P2cEwma final : public LoadBalancer {
 public:
  explicit P2cEwma(std::span<const EndpointView> endpoints) : LoadBalancer(endpoints), sums_(endpoints.size()) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < endpoints.size(); ++i) sums_[i] = sum += endpoints[i].weight;
  }

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext& context) override {
    const std::optional<std::uint32_t> first = Draw(tried, kNone, context);
    if (!first) return std::nullopt;
    const std::optional<std::uint32_t> second = Draw(tried, *first, context);
    return second && SecondIsCheaper(*first, *second, context) ? second : first;
  }

 private:
  static constexpr int kDraws = 8;
  static constexpr std::uint32_t kNone = kEndpointsMax;

  struct Price {
    double latency;         ///< seconds
    double load_by_weight;  ///< the request to come included
    bool untested;
  };
  Price PriceOf(std::uint32_t i, const PickContext& context) const noexcept {
    const EndpointView& endpoint = endpoints()[i];
    const std::uint64_t load = endpoint.load->load();
    const double latency = endpoint.load->latency().Estimate(context.now, endpoint.load->in_flight() == 0);
    const auto weight = static_cast<double>(EffectiveWeight(endpoint, context.now));
    return {latency, (static_cast<double>(load) + context.units) / weight, latency == 0.0 && load != 0};
  }

  static void Bound(Price& price, const Price& other) noexcept {
    const double worst = other.latency == 0.0 ? 1.0 : other.latency * kContrast;  // nothing is cheaper than an idle one
    if (price.untested || price.latency > worst) price.latency = worst;
  }

  bool SecondIsCheaper(std::uint32_t i, std::uint32_t j, const PickContext& context) const noexcept {
    Price first = PriceOf(i, context);
    Price second = PriceOf(j, context);
    if (first.untested && second.untested) {
      first.latency = second.latency = 1.0;
    } else {
      Bound(first, second);
      Bound(second, first);
    }
    return second.latency * second.load_by_weight < first.latency * first.load_by_weight;
  }

  /// One outside `tried` and other than `except`.
  std::optional<std::uint32_t> Draw(const EndpointSet& tried, std::uint32_t except, PickContext& context) const {
    if (sums_.empty() || sums_.back() == 0) return std::nullopt;
    for (int draw = 0; draw < kDraws; ++draw) {
      const auto hit = std::upper_bound(sums_.begin(), sums_.end(), context.prng.Below(sums_.back()));
      const auto i = static_cast<std::uint32_t>(hit - sums_.begin());
      if (i == except || tried.Contains(i)) continue;
      const EndpointView& endpoint = endpoints()[i];
      const std::uint64_t full = endpoint.weight * kWeightUnit;
      const std::uint64_t now = EffectiveWeight(endpoint, context.now);
      if (now == full || context.prng.Below(full) < now) return i;
    }
    return DrawByScan(tried, except, context);
  }

  /// A reservoir of one (Chao 1982).
  std::optional<std::uint32_t> DrawByScan(const EndpointSet& tried, std::uint32_t except, PickContext& context) const {
    std::optional<std::uint32_t> drawn;
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < size(); ++i) {
      if (i == except || tried.Contains(i)) continue;
      const std::uint64_t weight = EffectiveWeight(endpoints()[i], context.now);
      sum += weight;
      if (sum == weight || context.prng.Below(sum) < weight) drawn = i;
    }
    return drawn;
  }

  std::vector<std::uint64_t> sums_;  ///< of the weights up to and with each endpoint
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeP2cEwma(std::span<const EndpointView> endpoints, Prng&) {
  return std::make_unique<P2cEwma>(endpoints);
}

}  // namespace penstock::policy
