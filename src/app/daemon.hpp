#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cache_setup.hpp"
#include "app/control_thread.hpp"
#include "app/listeners.hpp"
#include "app/redis_reports.hpp"
#include "app/signals.hpp"
#include "app/worker_thread.hpp"
#include "penstock/config/load.hpp"
#include "penstock/telemetry/log_sink.hpp"

namespace penstock::app {

/// Owned by the main thread. The composition root: everything that the gateway consists of, in the order in which it is
/// built and, backwards, taken down.
class Daemon {
 public:
  /// `loaded` has a config and outlives it. `grpc_tests`: see Gateway::ServeGrpcTests.
  Daemon(std::string config_file, const config::LoadResult& loaded, bool grpc_tests);

  /// Whatever may fail: the line why, or none. Nothing serves yet.
  std::optional<std::string> Prepare();
  /// Serves until a drain is over.
  void Run();

 private:
  std::optional<std::string> BuildSnapshot();
  std::optional<std::string> OpenLogs();
  std::optional<std::string> OpenCache();
  std::optional<std::string> OpenListeners();
  void BuildWorkers();
  void BuildControl();
  void OnSignal(int signal);

  const std::string config_file_;
  const config::LoadResult& loaded_;
  const config::Config& config_;
  const unsigned worker_count_;
  const bool grpc_tests_;
  Signals signals_;
  telemetry::MetricRegistry registry_;
  telemetry::Slab& control_slab_;
  const telemetry::GatewayMetrics metrics_;
  std::shared_ptr<const proxy::Snapshot> snapshot_;  ///< until the threads have it
  std::unique_ptr<telemetry::LogSink> log_sink_;
  std::optional<telemetry::Logger> log_;  ///< the control thread's while that runs
  server::ConnectionCount connections_;
  CacheSetup cache_;
  RedisReports redis_reports_;
  std::vector<OpenAddress> listeners_;
  std::optional<OpenAddress> admin_;
  net::Resolver resolver_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  rt::OffloadThreads offload_{1};  ///< ends before the workers, to which its jobs report
  ControlThread control_;
};

/// Runs until a drain has ended it; returns the exit code. A failed start prints one line on stderr.
int RunDaemon(const std::string& config_file, const config::LoadResult& loaded, bool grpc_tests);

}  // namespace penstock::app
