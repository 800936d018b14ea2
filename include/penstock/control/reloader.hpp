#pragma once

#include <memory>
#include <string>
#include <vector>

#include "penstock/control/workers.hpp"
#include "penstock/proxy/snapshot.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"

namespace penstock::control {

/// How a reload went: no problems = the new configuration is in force.
struct ReloadOutcome {
  std::vector<std::string> problems;  ///< a line each; then everything is as it was
  std::vector<std::string> warnings;
  bool ok() const noexcept { return problems.empty(); }
};

/// Owned by one Worker. On the control thread. Holds the running snapshot and replaces it as a whole: reads the file
/// again, refuses what needs a restart, builds and tests everything, then posts one pointer to every worker. Until then
/// nothing has changed, so whatever fails leaves the old configuration serving. Blocks the control thread alone, which
/// is also what makes reloads come one after the other.
class Reloader {
 public:
  Reloader(std::string config_file, std::shared_ptr<const proxy::Snapshot> running, telemetry::MetricRegistry& registry,
           cache::Epochs& epochs, const telemetry::GatewayMetrics& metrics, telemetry::Slab& slab, Workers& workers);

  ReloadOutcome Reload();
  const proxy::Snapshot& running() const noexcept { return *running_; }

 private:
  ReloadOutcome Try();
  void Count(bool ok);

  const std::string config_file_;
  std::shared_ptr<const proxy::Snapshot> running_;
  telemetry::MetricRegistry& registry_;
  cache::Epochs& epochs_;
  const telemetry::GatewayMetrics& metrics_;
  telemetry::Slab& slab_;
  Workers& workers_;
};

}  // namespace penstock::control
