#include "penstock/control/reloader.hpp"

#include "penstock/config/load.hpp"
#include "penstock/control/snapshot_builder.hpp"

namespace penstock::control {
namespace {

std::string NeedsRestart(const std::vector<std::string>& keys) {
  std::string line = "needs restart: ";
  for (std::size_t i = 0; i < keys.size(); ++i) line += (i == 0 ? "" : ", ") + keys[i];
  return line;
}

/// On a worker's thread, between two of its turns.
void Swap(proxy::Gateway& gateway, const std::shared_ptr<const proxy::Snapshot>& snapshot) {
  for (std::size_t port = 0; port < snapshot->listener_tls.size(); ++port) {
    gateway.server().SetTls(port, snapshot->listener_tls[port]);
  }
  gateway.Apply(snapshot);
}

}  // namespace

Reloader::Reloader(std::string config_file, std::shared_ptr<const proxy::Snapshot> running,
                   telemetry::MetricRegistry& registry, cache::Epochs& epochs, const telemetry::GatewayMetrics& metrics,
                   telemetry::Slab& slab, Workers& workers)
    : config_file_(std::move(config_file)),
      running_(std::move(running)),
      registry_(registry),
      epochs_(epochs),
      metrics_(metrics),
      slab_(slab),
      workers_(workers) {
  metrics_.config_last_reload_ok.Set(slab_, 1);
}

ReloadOutcome Reloader::Reload() {
  ReloadOutcome outcome = Try();
  Count(outcome.ok());
  return outcome;
}

void Reloader::Count(bool ok) {
  metrics_
      .config_reloads[static_cast<std::size_t>(ok ? telemetry::ReloadResult::kOk : telemetry::ReloadResult::kRejected)]
      .Add(slab_);
  metrics_.config_last_reload_ok.Set(slab_, ok ? 1 : 0);
}

ReloadOutcome Reloader::Try() {
  ReloadOutcome outcome;
  const config::LoadResult loaded = config::LoadFile(config_file_);
  for (const config::Problem& warning : loaded.warnings) outcome.warnings.push_back(warning.ToString());
  if (!loaded.ok()) {
    for (const config::Problem& error : loaded.errors) outcome.problems.push_back(error.ToString());
    return outcome;
  }
  const std::vector<std::string> keys = config::RestartKeys(running_->config, *loaded.config);
  if (!keys.empty()) {
    outcome.problems.push_back(config_file_ + ": " + NeedsRestart(keys));
    return outcome;
  }
  BuildResult built = BuildSnapshot(*loaded.config, running_.get(), registry_, epochs_);
  if (built.snapshot == nullptr) {
    for (const BuildError& error : built.errors)
      outcome.problems.push_back(loaded.problem_at(error.path, error.message).ToString());
    return outcome;
  }
  running_ = std::move(built.snapshot);
  workers_.Tell([snapshot = running_](proxy::Gateway& gateway) { Swap(gateway, snapshot); });
  return outcome;
}

}  // namespace penstock::control
