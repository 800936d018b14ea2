#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "penstock/net/listener.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/proxy/gateway.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/telemetry/access_log.hpp"
#include "penstock/telemetry/worker_metrics.hpp"

namespace penstock::app {

/// Owned by the main thread. One worker with its thread; everything inside lives and dies on that thread.
class WorkerThread {
 public:
  WorkerThread(unsigned index, std::unique_ptr<rt::EventLoop> loop, rt::OffloadThreads& offload,
               net::Resolver& resolver, const telemetry::GatewayMetrics& metrics, telemetry::LogChannel& log,
               bool access_lines, server::ConnectionCount& count, cache::SharedCache& cache,
               cache::RedisEvents* redis_events, std::shared_ptr<const proxy::Snapshot> snapshot);
  ~WorkerThread();

  /// What it will serve, before Start.
  void AddListener(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls);
  /// Before Start.
  void ServeGrpcTests() { gateway_->ServeGrpcTests(); }
  void Start(bool pin);
  /// Runs on the worker's thread.
  void Post(std::function<void(proxy::Gateway&)> letter);
  void StopAndJoin();

  rt::Worker& worker() noexcept { return worker_; }

 private:
  void Run();

  rt::Worker worker_;
  telemetry::WorkerMetrics metrics_;
  telemetry::AccessLog access_log_;
  std::unique_ptr<proxy::Gateway> gateway_;
  std::thread thread_;
};

}  // namespace penstock::app
