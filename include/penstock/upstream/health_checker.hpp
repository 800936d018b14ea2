#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "penstock/http/h2_memory.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/telemetry/metric_slab.hpp"
#include "penstock/upstream/connection_pool.hpp"
#include "penstock/upstream/endpoint.hpp"

namespace penstock::upstream {

class EndpointProbe;

/// One endpoint to check: how, and how its traffic connects.
struct HealthWatch {
  std::shared_ptr<Endpoint> endpoint;
  config::HealthCheck check;
  PoolOptions pool;         ///< protocol, tls and server_name are used
  std::string warmup = {};  ///< the body of the request that check.warmup speaks of
};

/// What a HealthChecker tells its owner; for logs. Called on its worker's thread.
class HealthEvents {
 public:
  /// `reason` is a text without peer bytes: "status 503", "Connection refused", "no answer in time".
  virtual void OnHealthChanged(const Endpoint& endpoint, bool usable, std::string_view reason) = 0;
  virtual void OnKindDetected(const Endpoint& endpoint) = 0;
  /// Well, and asked for its first answer now.
  virtual void OnWarmupBegan(const Endpoint& endpoint) = 0;
  /// It did not give it, `reason` as above; asked again after its next good check.
  virtual void OnWarmupFailed(const Endpoint& endpoint, std::string_view reason) = 0;
  /// Every check that ended. `good_in_a_row`: up to `healthy_after`; 0 after a bad one.
  virtual void OnChecked(const Endpoint& endpoint, std::uint32_t good_in_a_row) = 0;

 protected:
  ~HealthEvents() = default;
};

/// Owned by one Worker. One per process. The active checks of all endpoints, in parallel, each round on a connection of
/// its own: a GET of the configured path or of the kind's. Writes EndpointLoad::SetUsable, the gauges endpoint_healthy
/// and endpoint_warming (it alone) and, for endpoints of kind `auto`, Endpoint::set_kind.
///
/// A server that is too busy to answer its health path while requests on it get on is not ejected
/// (policy/health_state.hpp). An endpoint nobody has judged yet is usable, so a start waits for nobody; but with a
/// warm-up the owner makes new ones unusable, and whoever is unusable joins with its first answer (a POST in the round
/// whose check would have brought it back), not before. While that is awaited no check is made.
class HealthChecker {
 public:
  HealthChecker(rt::Worker& worker, net::Resolver& resolver, telemetry::Slab& slab, HealthEvents& events);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  /// Checks these from now on: at the start, and with every snapshot. New ones are asked at once; one that is watched
  /// already under the same rules goes on as it was; the others are let go.
  void SetEndpoints(std::vector<HealthWatch> watches);

  /// Every endpoint has been asked at least once.
  bool settled() const noexcept;
  std::size_t endpoints() const noexcept { return probes_.size(); }

 private:
  friend class EndpointProbe;

  rt::Worker& worker_;
  net::Resolver& resolver_;
  telemetry::Slab& slab_;
  HealthEvents& events_;
  rt::BuriedLast<http::HeadPool> heads_;
  rt::BuriedLast<http::H2Memory> memory_;
  std::vector<std::unique_ptr<EndpointProbe>> probes_;
};

}  // namespace penstock::upstream
