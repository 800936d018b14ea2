#pragma once

#include <string>

#include "penstock/control/control.hpp"

namespace penstock::control {

/// The bodies of the admin API's answers, JSON on one line.
std::string VersionPage(const BuildText& build);
/// Every cluster and endpoint with its load, health and connections, the latter as the last sample saw them.
std::string BackendsPage(const proxy::Snapshot& snapshot, const telemetry::MetricRegistry& registry, bool draining,
                         TimePoint now);
/// What each tier of the cache holds and has done, by tenant where it is known, and the epochs.
std::string CachePage(const proxy::Snapshot& snapshot, const cache::SharedCache& cache,
                      const telemetry::GatewayMetrics& metrics);
/// The new generation, or an error that carries every problem.
std::string ReloadPage(const ReloadOutcome& outcome, std::uint64_t generation);

}  // namespace penstock::control
