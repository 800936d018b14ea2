#include "control/sampler.hpp"

#include <algorithm>

#include "control/admin_exchange.hpp"
#include "penstock/telemetry/exposition.hpp"

namespace penstock::control {

Sampler::Sampler(rt::Worker& worker, Workers& workers, const telemetry::MetricRegistry& registry,
                 std::function<void()> look)
    : worker_(worker), workers_(workers), registry_(registry), look_(std::move(look)), patience_(this, [](void* self) {
        static_cast<Sampler*>(self)->OnRoundOver();
      }) {}

bool Sampler::Ask(AdminExchange& exchange) {
  if (worker_.Now() < fresh_until_) return true;
  waiting_.push_back(&exchange);
  if (!patience_.armed()) {
    worker_.Arm(patience_, kPatience);
    workers_.Ask([](proxy::Gateway& gateway, std::size_t) { gateway.Sample(); }, [this] { OnRoundOver(); });
  }
  return false;
}

void Sampler::Forget(AdminExchange& exchange) { std::erase(waiting_, &exchange); }

void Sampler::OnRoundOver() {
  patience_.Cancel();
  fresh_until_ = worker_.Now() + kFreshFor;
  text_fresh_ = false;
  look_();
  while (!waiting_.empty()) {
    AdminExchange* next = waiting_.back();
    waiting_.pop_back();
    next->OnSampled();
  }
}

const std::string& Sampler::MetricsText() {
  if (!text_fresh_) text_ = telemetry::RenderMetrics(registry_);
  text_fresh_ = true;
  return text_;
}

}  // namespace penstock::control
