#pragma once

#include <functional>
#include <string>
#include <vector>

#include "penstock/control/workers.hpp"
#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::control {

class AdminExchange;

/// Owned by one Worker. On the control thread. Has the workers bring their gauges to date before somebody reads them,
/// at most once in kFreshFor however often that is asked (FAULTS A-13); everybody who asks meanwhile waits for the same
/// round.
class Sampler {
 public:
  static constexpr Duration kFreshFor = std::chrono::milliseconds(100);
  static constexpr Duration kPatience =
      std::chrono::milliseconds(500);  ///< a worker that stands still holds up no scrape

  /// `look`: what this thread has to bring to date itself.
  Sampler(rt::Worker& worker, Workers& workers, const telemetry::MetricRegistry& registry, std::function<void()> look);

  /// True: everything is fresh. False: OnSampled follows.
  bool Ask(AdminExchange& exchange);
  /// The exchange has ended.
  void Forget(AdminExchange& exchange);

  /// Of the last round.
  const std::string& MetricsText();
  const telemetry::MetricRegistry& registry() const noexcept { return registry_; }

 private:
  void OnRoundOver();

  rt::Worker& worker_;
  Workers& workers_;
  const telemetry::MetricRegistry& registry_;
  const std::function<void()> look_;
  rt::Timer patience_;
  std::vector<AdminExchange*> waiting_;
  TimePoint fresh_until_{};
  std::string text_;
  bool text_fresh_ = false;
};

}  // namespace penstock::control
