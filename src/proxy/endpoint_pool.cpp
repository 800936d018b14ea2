#include "proxy/endpoint_pool.hpp"

#include "proxy/worker_context.hpp"

namespace penstock::proxy {

EndpointPool::EndpointPool(WorkerContext& context, std::shared_ptr<upstream::Endpoint> endpoint,
                           const upstream::PoolOptions& options)
    : metrics_(context.metrics),
      endpoint_(std::move(endpoint)),
      kind_(endpoint_->spec().kind),
      idle_by_kind_(options.idle_by_kind),
      idle_timeout_(options.idle_timeout),
      connections_(context.worker, context.heads, context.h2_memory, options, *this) {
  const Url& url = endpoint_->spec().url;
  name_ = context.resolver.Watch(url.host, url.port, context.worker, [this] { OnName(); });
  OnName();
  OnKind();
}

void EndpointPool::Submit(upstream::Stream& stream, const upstream::Request& request) {
  OnKind();
  connections_.Submit(stream, request);
}

/// Nothing known yet: streams wait. A failure without an older set: they fail.
void EndpointPool::OnName() {
  if (!name_->addresses().empty() || name_->error()) connections_.SetAddresses(name_->addresses());
}

/// The prober runs on another thread and tells the endpoint only; looked at per request, a load of a line that is read
/// anyway.
void EndpointPool::OnKind() {
  const config::EndpointKind kind = endpoint_->kind();
  if (kind == kind_) return;
  kind_ = kind;
  const upstream::KindQuirks& quirks = upstream::QuirksOf(kind);
  connections_.SetQuirks(idle_by_kind_ ? quirks.idle_timeout : idle_timeout_, quirks.reuse_after_chunked);
}

EndpointPool::~EndpointPool() { Report({}); }

void EndpointPool::Sample() { Report(connections_.counts()); }

void EndpointPool::Report(const upstream::PoolCounts& counts) {
  using telemetry::ConnectionState;
  const auto add = [this](ConnectionState state, std::int64_t before, std::int64_t now) {
    endpoint_->metrics.connections[static_cast<std::size_t>(state)].Add(metrics_.slab, now - before);
  };
  add(ConnectionState::kConnecting, reported_.connecting, counts.connecting);
  add(ConnectionState::kActive, reported_.active, counts.active);
  add(ConnectionState::kIdle, reported_.idle, counts.idle);
  reported_ = counts;
}

void EndpointPool::OnConnected(Duration took) { endpoint_->metrics.connect.Observe(metrics_.slab, took); }

void EndpointPool::OnConnectFailed(const Error&) { name_->RefreshSoon(); }

}  // namespace penstock::proxy
