#include "penstock/upstream/health_checker.hpp"

#include <algorithm>

#include "upstream/endpoint_probe.hpp"

namespace penstock::upstream {

HealthChecker::HealthChecker(rt::Worker& worker, net::Resolver& resolver, telemetry::Slab& slab, HealthEvents& events)
    : worker_(worker), resolver_(resolver), slab_(slab), events_(events), heads_(worker), memory_(worker) {}

HealthChecker::~HealthChecker() = default;

void HealthChecker::SetEndpoints(std::vector<HealthWatch> watches) {
  std::vector<std::unique_ptr<EndpointProbe>> kept;
  std::vector<EndpointProbe*> fresh;
  for (HealthWatch& watch : watches) {
    const auto known = std::find_if(probes_.begin(), probes_.end(),
                                    [&](const auto& probe) { return probe != nullptr && probe->Matches(watch); });
    if (known != probes_.end()) {
      kept.push_back(std::move(*known));
    } else {
      kept.push_back(std::make_unique<EndpointProbe>(*this, std::move(watch)));
      fresh.push_back(kept.back().get());
    }
  }
  probes_ = std::move(kept);
  for (EndpointProbe* probe : fresh) probe->Begin();
}

bool HealthChecker::settled() const noexcept {
  return std::all_of(probes_.begin(), probes_.end(), [](const auto& probe) { return probe->asked(); });
}

}  // namespace penstock::upstream
