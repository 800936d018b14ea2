#pragma once

#include <functional>

#include "control/loop_watch.hpp"
#include "control/memory_gauge.hpp"
#include "penstock/cache/memory_tier.hpp"
#include "penstock/config/overload.hpp"
#include "penstock/control/workers.hpp"
#include "penstock/policy/overload_levels.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"
#include "penstock/telemetry/log.hpp"

namespace penstock::control {

/// Owned by one Worker. On the control thread. Samples what the process uses, decides what is done about it, and tells
/// those who do it; watches over the workers. docs/resilience.md, "Overload".
class ResourceMonitor {
 public:
  struct Parts {
    rt::Worker& worker;
    Workers& workers;
    cache::MemoryTier* memory;  ///< null: off
    const telemetry::OverloadMetrics& metrics;
    telemetry::Slab& slab;
    telemetry::Logger& log;
    /// Of the running snapshot: a reload takes effect with the next sample.
    std::function<const config::Overload&()> rules;
    unsigned threads = 1;  ///< that serve: with fewer than cores, the gateway cannot use all of them
  };
  explicit ResourceMonitor(Parts parts, std::string root = "");

  policy::OverloadActions actions() const noexcept { return actions_; }

 private:
  struct CpuSample {
    TimePoint at{};
    Duration used{};
  };
  void Tick();
  policy::OverloadLevels::Sample Read(const config::Overload& rules);
  std::optional<double> CpuPressure();
  std::optional<double> FilesPressure();
  void Show(const policy::OverloadLevels::Sample& sample);
  void Take(policy::OverloadActions wanted);
  void SizeCaches();
  void GiveBack();
  void LookAtWorkers(const config::Watchdog& rules);
  [[noreturn]] void Abort(std::size_t worker);

  Parts parts_;
  const ResourceFiles files_;
  MemoryGauge memory_;
  LoopWatch loops_;
  rt::Timer timer_;
  policy::OverloadLevels levels_;
  policy::OverloadActions actions_;
  policy::OverloadLevels::Sample last_;  ///< the last of each that there was
  CpuSample cpu_;
  unsigned ticks_ = 0;
  double cache_share_ = 1;      ///< of its size that the memory tier may have
  TimePoint give_back_due_{};   ///< when the heap's free pages may be looked for again
  std::vector<bool> reported_;  ///< by worker: that it stands still
};

}  // namespace penstock::control
