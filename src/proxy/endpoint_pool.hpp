#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <memory>

#include "penstock/net/resolver.hpp"
#include "penstock/telemetry/worker_metrics.hpp"
#include "penstock/upstream/connection_pool.hpp"
#include "penstock/upstream/endpoint.hpp"
#include "penstock/upstream/kind_quirks.hpp"

namespace penstock::proxy {

struct WorkerContext;

template <class T>
using Counted = boost::intrusive_ref_counter<T, boost::thread_unsafe_counter>;

/// Owned by one Worker. This worker's connections to one endpoint; lives while a view or an attempt uses it. Follows
/// what is found out while it runs: the addresses behind the endpoint's name (FAULTS U-27) and the kind of server there.
class EndpointPool final : public Counted<EndpointPool>, private upstream::PoolEvents {
 public:
  EndpointPool(WorkerContext& context, std::shared_ptr<upstream::Endpoint> endpoint,
               const upstream::PoolOptions& options);
  ~EndpointPool();

  upstream::Endpoint& endpoint() noexcept { return *endpoint_; }
  const upstream::KindQuirks& quirks() const noexcept { return upstream::QuirksOf(endpoint_->kind()); }
  /// As ConnectionPool::Submit.
  void Submit(upstream::Stream& stream, const upstream::Request& request);
  void Retire() { connections_.Retire(); }
  /// As ConnectionPool::calm_until().
  TimePoint calm_until() const noexcept { return connections_.calm_until(); }
  /// Brings upstream_connections to date, by the difference: an endpoint of two clusters has two pools and one series.
  void Sample();

 private:
  void OnConnected(Duration took) override;
  void OnConnectFailed(const Error& error) override;
  void OnName();
  void OnKind();
  void Report(const upstream::PoolCounts& counts);

  telemetry::WorkerMetrics& metrics_;
  std::shared_ptr<upstream::Endpoint> endpoint_;
  config::EndpointKind kind_;  ///< the one that connections_ knows of
  const bool idle_by_kind_;
  const Duration idle_timeout_;
  upstream::ConnectionPool connections_;
  upstream::PoolCounts reported_;
  std::unique_ptr<net::Subscription> name_;
};

using EndpointPoolPtr = boost::intrusive_ptr<EndpointPool>;

}  // namespace penstock::proxy
