#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "penstock/cache/shared_cache.hpp"
#include "penstock/http/h2_memory.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/policy/overload_levels.hpp"
#include "penstock/proxy/snapshot.hpp"
#include "penstock/rt/offload.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/request_handler.hpp"
#include "penstock/server/server.hpp"
#include "penstock/telemetry/access_log.hpp"
#include "penstock/telemetry/worker_metrics.hpp"

namespace penstock::proxy {

class Exchange;
class GrpcCall;
struct WorkerContext;

/// Owned by one Worker. The gateway's own logic on one worker: takes requests from the server, answers them through the
/// pipeline (src/proxy/pipeline.cpp).
class Gateway final : public server::RequestSink {
 public:
  /// `redis_events` hears of Redis, on the worker's thread; not null when `cache.redis` has urls.
  Gateway(rt::Worker& worker, rt::OffloadThreads& offload, net::Resolver& resolver, telemetry::WorkerMetrics& metrics,
          telemetry::AccessLog& access_log, server::ConnectionCount& count, cache::SharedCache& cache,
          cache::RedisEvents* redis_events, std::shared_ptr<const Snapshot> snapshot);
  ~Gateway();

  /// Requests from now on use this snapshot. On the worker's thread.
  void Apply(std::shared_ptr<const Snapshot> snapshot);
  server::Server& server() noexcept { return *server_; }
  std::size_t exchanges() const noexcept;  ///< in flight, without those who only watch
  /// Brings the gauges that nobody counts up and down (connections, buffered bytes) to date: before a scrape.
  void Sample();
  /// Tells Redis of a purge; `told` hears whether it was reached, on the worker's thread. Without Redis: at once.
  void PublishEpoch(std::string name, std::uint64_t value, std::function<void(bool)> told);
  void PublishPurgedKey(const Digest& key, std::function<void(bool)> told);
  /// What is done against overload, from now on.
  void SetOverload(policy::OverloadActions actions);
  /// Ends the exchange that holds most memory; in-band where it is committed. The rest of a whole answer that its
  /// client does not take is bounded by slow_reader_timeout, and not looked at here.
  void ResetLargest();
  /// Also serves grpc.testing's services, for clients' own interoperability tests. Before the first request.
  void ServeGrpcTests();
  /// CONTRACT 5, Drain: /health turns 503, answers close their connections.
  void BeginDrain();
  /// Listeners have closed, connections are about to: who watches the gateway's health is told to go elsewhere.
  void EndWatches();
  /// Its end: what waits gets 503 draining, committed streams end with stream_interrupted.
  void EndAll();

  server::RequestHandler& OnRequest(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                    bool expect_continue, const Error* reject) override;
  void OnProtocolReject(server::Protocol protocol, const char* reason) override;
  void OnConnectionKilled(const char* reason) override;

 private:
  friend class Exchange;
  friend class GrpcCall;
  Exchange& Take();
  void Recycle(Exchange& exchange);
  void Recycle(GrpcCall& call);
  server::RequestHandler& BeginCall(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                    const Error* reject);

  std::unique_ptr<WorkerContext> context_;
  std::unique_ptr<server::Server> server_;
};

}  // namespace penstock::proxy
