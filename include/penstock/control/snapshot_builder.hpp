#pragma once

#include <memory>
#include <string>
#include <vector>

#include "penstock/proxy/snapshot.hpp"
#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::control {

/// What a key names and cannot be used.
struct BuildError {
  std::string path;  ///< of the key, as config::LoadResult::problem_at takes it
  std::string message;
};

/// A snapshot, or everything that keeps it from working.
struct BuildResult {
  std::shared_ptr<const proxy::Snapshot> snapshot;
  std::vector<BuildError> errors;
};

/// Builds and tests everything that a configuration names (certificates, keys, trust stores) before anything is
/// swapped. Endpoints whose specification did not change are taken over from `previous`, with their load and health.
BuildResult BuildSnapshot(const config::Config& config, const proxy::Snapshot* previous,
                          telemetry::MetricRegistry& registry, cache::Epochs& epochs);

}  // namespace penstock::control
