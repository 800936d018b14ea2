#pragma once

#include <memory>
#include <string>
#include <vector>

#include "penstock/proxy/snapshot.hpp"
#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::control {

/// A snapshot, or everything that keeps it from working, one line each.
struct BuildResult {
  std::shared_ptr<const proxy::Snapshot> snapshot;
  std::vector<std::string> errors;
};

/// Builds and tests everything that a configuration names (certificates, keys, trust stores) before anything is
/// swapped. Endpoints whose specification did not change are taken over from `previous`, with their load and health.
BuildResult BuildSnapshot(const config::Config& config, const proxy::Snapshot* previous,
                          telemetry::MetricRegistry& registry);

}  // namespace penstock::control
