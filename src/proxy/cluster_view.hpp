#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <memory>
#include <unordered_map>
#include <vector>

#include "penstock/proxy/snapshot.hpp"
#include "penstock/telemetry/worker_metrics.hpp"
#include "penstock/upstream/connection_pool.hpp"

namespace penstock::proxy {

template <class T>
using Counted = boost::intrusive_ref_counter<T, boost::thread_unsafe_counter>;

/// Owned by one Worker. This worker's connections to one endpoint; lives while a view or an attempt uses it.
class EndpointPool final : public Counted<EndpointPool>, private upstream::PoolEvents {
 public:
  EndpointPool(rt::Worker& worker, http::HeadPool& heads, http::H2Memory& memory, telemetry::WorkerMetrics& metrics,
               std::shared_ptr<upstream::Endpoint> endpoint, const upstream::PoolOptions& options);

  ~EndpointPool();

  /// Brings upstream_connections to date, by the difference: an endpoint of two clusters has two pools and one series.
  void Sample();
  upstream::Endpoint& endpoint() noexcept { return *endpoint_; }
  upstream::ConnectionPool& connections() noexcept { return connections_; }

 private:
  void OnConnected(Duration took) override;
  void OnConnectFailed(const Error& error) override;

  void Report(const upstream::PoolCounts& counts);

  telemetry::WorkerMetrics& metrics_;
  std::shared_ptr<upstream::Endpoint> endpoint_;
  upstream::ConnectionPool connections_;
  upstream::PoolCounts reported_;
};

using EndpointPoolPtr = boost::intrusive_ptr<EndpointPool>;

/// Owned by one Worker. A cluster as this worker uses it.
struct ClusterView {
  const ClusterRoute* route = nullptr;
  std::vector<EndpointPoolPtr> pools;
  std::unique_ptr<policy::LoadBalancer> balancer;
};

/// Owned by one Worker. One snapshot as this worker uses it; pinned by every exchange that began with it.
struct View final : Counted<View> {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<ClusterView> clusters;
};

using ViewPtr = boost::intrusive_ptr<View>;

}  // namespace penstock::proxy
