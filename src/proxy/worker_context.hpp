#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "penstock/cache/redis_listener.hpp"
#include "penstock/cache/tiers.hpp"
#include "penstock/llm/json_parser.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/policy/overload_levels.hpp"
#include "penstock/rt/offload.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/server/server.hpp"
#include "penstock/telemetry/access_log.hpp"
#include "proxy/cluster_view.hpp"

namespace penstock::proxy {

class Exchange;

constexpr telemetry::Protocol LabelOf(server::Protocol protocol) noexcept {
  switch (protocol) {
    case server::Protocol::kHttp1: return telemetry::Protocol::kHttp1;
    case server::Protocol::kHttp2: return telemetry::Protocol::kHttp2;
    case server::Protocol::kGrpc: return telemetry::Protocol::kGrpc;
  }
  return telemetry::Protocol::kHttp1;
}

/// Owned by one Worker. What the exchanges of one worker share.
struct WorkerContext {
  WorkerContext(rt::Worker& w, rt::OffloadThreads& threads, net::Resolver& names, telemetry::WorkerMetrics& m,
                telemetry::AccessLog& log, cache::SharedCache& shared, std::unique_ptr<cache::RedisTier> redis_tier)
      : worker(w),
        offload(threads),
        resolver(names),
        metrics(m),
        access_log(log),
        redis(std::move(redis_tier)),
        tiers(w, threads, shared, redis.get()),
        json(w.prng().Next()) {}

  rt::Worker& worker;
  rt::OffloadThreads& offload;
  net::Resolver& resolver;
  telemetry::WorkerMetrics& metrics;
  telemetry::AccessLog& access_log;
  std::unique_ptr<cache::RedisTier> redis;               ///< null: off
  std::unique_ptr<cache::RedisListener> redis_listener;  ///< worker 0's, for all
  cache::Tiers tiers;
  std::vector<rt::Task<void>> purges;  ///< that Redis is being told of
  rt::BuriedLast<http::HeadPool> head_pool{worker};
  rt::BuriedLast<http::H2Memory> h2_pool{worker};
  http::HeadPool& heads = *head_pool;
  http::H2Memory& h2_memory = *h2_pool;
  llm::JsonParser json;
  std::string grpc_message;           ///< the gRPC message that is being made
  std::vector<rt::Signal*> watchers;  ///< of the gateway's health; set when it changes
  ViewPtr view;                       ///< what new exchanges begin with
  std::unordered_map<const upstream::Endpoint*, EndpointPoolPtr> pools;
  std::vector<std::unique_ptr<rt::Mortal>> free_exchanges;  ///< Exchanges, whose type is not complete here
  std::vector<std::unique_ptr<rt::Mortal>> free_calls;      ///< GrpcCalls, likewise
  std::vector<Exchange*> live;                              ///< each knows its place
  std::size_t buffered_bytes_max = 0;                       ///< this worker's share of `buffered_bytes`
  std::size_t workers = 1;
  bool grpc_tests = false;  ///< grpc.testing's services are served
  bool draining = false;
  bool leaving = false;              ///< the drain has closed the listeners
  policy::OverloadActions overload;  ///< what is done against it just now

  /// Everything that waits in this worker's chains, by whole blocks: what the memory really is; and its part of what
  /// the calls under way have taken down.
  std::size_t buffered_bytes() noexcept {
    return worker.chunks().in_use() * ChunkPool::kChunkBytes + tiers.shared().flights.held_bytes() / workers;
  }
  bool crowded() noexcept { return buffered_bytes() >= buffered_bytes_max; }
};

}  // namespace penstock::proxy
