#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/cache/shared_cache.hpp"
#include "penstock/control/drain.hpp"
#include "penstock/control/reloader.hpp"
#include "penstock/control/workers.hpp"
#include "penstock/server/server.hpp"
#include "penstock/telemetry/log.hpp"
#include "penstock/telemetry/log_sink.hpp"
#include "penstock/upstream/health_checker.hpp"

namespace penstock::control {

class BreakerWatch;
class ResourceMonitor;
class Sampler;
class VariantWatch;

/// What GET /version tells.
struct BuildText {
  std::string version;
  std::string commit;
  std::string build;       ///< compiler and flags
  std::string event_loop;  ///< in use
};

/// What the control thread works with; the references outlive it.
struct ControlParts {
  std::string config_file;
  std::shared_ptr<const proxy::Snapshot> snapshot;  ///< the one that the workers began with
  net::Resolver& resolver;
  telemetry::MetricRegistry& registry;
  const telemetry::GatewayMetrics& metrics;
  cache::SharedCache& cache;
  telemetry::Slab& slab;  ///< of the control thread
  telemetry::LogSink& log_sink;
  telemetry::Logger& log;  ///< the control thread's while it runs
  std::vector<PostToGateway> workers;
  BuildText build;
  std::function<void()> on_drained;  ///< the process may end; on the control thread
};

/// Owned by one Worker. The control thread's. Everything that is not a client's request: the admin listener, reloads,
/// the drain, the logs, the health checks. The same doors for signals and for the admin API.
class Control final : public server::RequestSink, private upstream::HealthEvents {
 public:
  Control(rt::Worker& worker, ControlParts parts);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// The admin API on a listening descriptor.
  void Listen(int fd);

  // `by`: who asked, a literal for the log.
  ReloadOutcome Reload(std::string_view by);
  void BeginDrain(std::string_view by);
  /// A second signal: the first begins the drain, this one ends it.
  void DrainOrEnd(std::string_view by);
  void ReopenLogs();
  /// A line of the operator's log from somewhere that has none.
  void Warn(std::string_view line);
  /// The cache uses this Redis server from now on, or does not and why.
  void NoteRedis(std::string_view server, cache::RedisTrouble trouble);

  // For the admin API's exchanges.
  rt::Worker& worker() noexcept { return worker_; }
  http::HeadPool& heads() noexcept { return heads_; }
  Sampler& sampler() noexcept { return *sampler_; }
  Workers& workers() noexcept { return workers_; }
  cache::SharedCache& cache() noexcept { return parts_.cache; }
  const telemetry::GatewayMetrics& metrics() const noexcept { return parts_.metrics; }
  const BuildText& build() const noexcept { return parts_.build; }
  const proxy::Snapshot& running() const noexcept { return reloader_.running(); }
  bool draining() const noexcept { return drain_.begun(); }
  /// Not draining, and at least one cluster has an endpoint that the health checks do not refuse.
  bool ready() const noexcept;

 private:
  server::RequestHandler& OnRequest(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                    bool expect_continue, const Error* reject) override;
  // The metrics of rejects are about clients; whoever reaches this listener is the operator.
  void OnProtocolReject(server::Protocol, const char*) override {}
  void OnConnectionKilled(const char*) override {}
  void OnHealthChanged(const upstream::Endpoint& endpoint, bool usable, std::string_view reason) override;
  void OnKindDetected(const upstream::Endpoint& endpoint) override;
  void OnWarmupBegan(const upstream::Endpoint& endpoint) override;
  void OnWarmupFailed(const upstream::Endpoint& endpoint, std::string_view reason) override;
  void OnChecked(const upstream::Endpoint& endpoint, std::uint32_t good_in_a_row) override;
  void LookAtBreakers();
  /// Checks the endpoints of the running snapshot from now on.
  void WatchEndpoints();

  rt::Worker& worker_;
  ControlParts parts_;
  Workers workers_;
  Reloader reloader_;
  Drain drain_;
  std::unique_ptr<BreakerWatch> breakers_;
  std::unique_ptr<VariantWatch> variants_;
  rt::Timer breaker_timer_;
  upstream::HealthChecker health_;
  std::unique_ptr<ResourceMonitor> resources_;
  std::unique_ptr<Sampler> sampler_;
  http::HeadPool heads_;
  server::ConnectionCount connections_;
  std::unique_ptr<server::Server> server_;
};

}  // namespace penstock::control
