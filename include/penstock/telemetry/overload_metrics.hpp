#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::telemetry {

// Label values. Those who count assert that their own names are these, in this order.
inline constexpr std::array<std::string_view, 4> kOverloadResources = {"memory", "cpu", "loop_lag", "fds"};
inline constexpr std::array<std::string_view, 6> kOverloadActionLabels = {
    "shrink_caches", "disable_keepalive", "shed_batch", "shed_requests", "stop_accepting", "reset_streams"};
inline constexpr std::array<std::string_view, 3> kPriorityLabels = {"interactive", "default", "batch"};

/// Immutable. What the overload protection tells; part of GatewayMetrics. Gauges and `taken` are the control thread's.
struct OverloadMetrics {
  static constexpr std::int64_t kRatioParts = 10'000;
  static constexpr std::int64_t kSecondParts = 1'000'000;

  explicit OverloadMetrics(MetricRegistry& registry);

  std::array<Gauge, kOverloadResources.size()> pressure;    ///< in kRatioParts
  std::array<Gauge, kOverloadResources.size()> level;       ///< 0 calm, 1 warning, 2 critical, 3 beyond that
  Gauge loop_lag;                                           ///< in kSecondParts
  std::array<Gauge, kOverloadActionLabels.size()> active;   ///< 0 or 1
  std::array<Counter, kOverloadActionLabels.size()> taken;  ///< times it began
  std::array<Counter, kPriorityLabels.size()> shed;         ///< requests refused
  Counter reset;                                            ///< exchanges ended for their memory
  Counter stalls;                                           ///< of workers; the control thread's
};

}  // namespace penstock::telemetry
