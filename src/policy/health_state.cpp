#include "penstock/policy/health_state.hpp"

namespace penstock::policy {

bool HealthState::OnProbe(ProbeResult result, TimePoint began, TimePoint last_progress) noexcept {
  const bool was_usable = usable();
  switch (result) {
    case ProbeResult::kOk: OnGood(); break;
    case ProbeResult::kFail: OnBad(); break;
    case ProbeResult::kTimeout:
      if (last_progress < began) OnBad();
      break;
  }
  return usable() != was_usable;
}

void HealthState::OnGood() noexcept {
  bad_ = 0;
  if (good_ < thresholds_.healthy_after) ++good_;
  // Only a fall has to be made good: the first answer of an endpoint nobody has judged is enough.
  if (health_ == Health::kUnknown || good_ >= thresholds_.healthy_after) health_ = Health::kHealthy;
}

void HealthState::OnBad() noexcept {
  good_ = 0;
  if (bad_ < thresholds_.unhealthy_after) ++bad_;
  if (bad_ >= thresholds_.unhealthy_after) health_ = Health::kUnhealthy;
}

}  // namespace penstock::policy
