#pragma once

#include <string>

#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::telemetry {

/// The registry in the Prometheus text format, version 0.0.4; families without a series are left out. Any
/// thread; costs milliseconds at the cap of series, so the caller bounds how often it is asked.
std::string RenderMetrics(const MetricRegistry& registry);
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace penstock::telemetry
