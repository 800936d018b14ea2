#include "policy/lb/policies.hpp"

namespace penstock::policy {

namespace {

/// Owned by one Worker. Each endpoint in turn, weights apart from 0 not regarded.
///
/// The cursor moves behind every pick, refused ones included: were it to move once per request, the neighbour
/// of an unhealthy endpoint would take that one's whole share on top of its own.
class RoundRobin final : public LoadBalancer {
 public:
  RoundRobin(std::span<const EndpointView> endpoints, Prng& prng)
      : LoadBalancer(endpoints),
        cursor_(endpoints.empty() ? 0 : static_cast<std::uint32_t>(prng.Below(endpoints.size()))) {}

  std::optional<std::uint32_t> Pick(const EndpointSet& tried, PickContext&) override {
    const auto n = static_cast<std::uint32_t>(size());
    for (std::uint32_t step = 0; step < n; ++step) {
      const std::uint32_t i = cursor_;
      cursor_ = i + 1 == n ? 0 : i + 1;
      if (!tried.Contains(i)) return i;
    }
    return std::nullopt;
  }

 private:
  std::uint32_t cursor_;
};

}  // namespace

std::unique_ptr<LoadBalancer> MakeRoundRobin(std::span<const EndpointView> endpoints, Prng& prng) {
  return std::make_unique<RoundRobin>(endpoints, prng);
}

}  // namespace penstock::policy
