#pragma once

// A whole gateway on one worker, on the thread of the test, listening on a real socket.

#include <memory>
#include <string>
#include <vector>

#include "penstock/config/load.hpp"
#include "penstock/control/snapshot_builder.hpp"
#include "penstock/proxy/gateway.hpp"
#include "penstock/proxy/routes.hpp"
#include "support/raw_socket.hpp"

namespace penstock::test {

struct GatewayWorld {
  GatewayWorld()
      : metrics(registry, std::vector<std::string_view>(proxy::Routes().size() + 1, "route"), {"0", "0"},
                registry.OpenSlab()) {}

  /// Begins to serve by the configuration in `file`.
  void Serve(const std::string& file) {
    snapshot = control::BuildSnapshot(*config::LoadFile(file).config, nullptr, registry, cache.epochs).snapshot;
    gateway = std::make_unique<proxy::Gateway>(worker, offload, resolver, worker_metrics, access_log, count, cache,
                                               nullptr, snapshot);
    gateway->server().Listen(listening.fd(), false, nullptr);
  }

  RawSocket listening = RawSocket::Listen();
  rt::Worker worker{0, rt::MakeEpollLoop(), 1};
  rt::OffloadThreads offload{1};
  net::Resolver resolver;
  telemetry::MetricRegistry registry{telemetry::GatewayFamilies()};
  telemetry::GatewayMetrics metrics;
  telemetry::WorkerMetrics worker_metrics{metrics};
  telemetry::AccessLog access_log{nullptr};
  server::ConnectionCount count;
  cache::SharedCache cache;
  std::shared_ptr<const proxy::Snapshot> snapshot;
  std::unique_ptr<proxy::Gateway> gateway;
};

}  // namespace penstock::test
