#include "app/daemon.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <cstdio>

#include "app/worker_thread.hpp"
#include "penstock/control/snapshot_builder.hpp"
#include "penstock/proxy/routes.hpp"
#include "penstock/telemetry/log_sink.hpp"

namespace penstock::app {
namespace {

int FailStart(const std::string& line) {
  std::fprintf(stderr, "penstock: %s\n", line.c_str());
  return 1;
}

std::string AddressText(const config::Listener& listener) { return listener.address.ToString(); }

}  // namespace

int RunDaemon(const std::string& config_file, const config::Config& config) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);

  telemetry::MetricRegistry registry(telemetry::GatewayFamilies());
  std::vector<std::string_view> routes;
  for (const proxy::Route& route : proxy::Routes()) routes.push_back(route.name);
  routes.push_back(proxy::kNoRouteName);
  const telemetry::GatewayMetrics metrics(registry, routes, {PENSTOCK_VERSION, PENSTOCK_COMMIT}, registry.OpenSlab());

  control::BuildResult built = control::BuildSnapshot(config, nullptr, registry);
  if (built.snapshot == nullptr) return FailStart(config_file + ": " + built.errors.front());

  const unsigned workers = config.server.workers.value_or(rt::UsableCores());
  telemetry::LogSinkOptions log_options;
  log_options.access = config.log.access.kind == config::AccessLog::Kind::kStderr ? "stderr"
                       : config.log.access.kind == config::AccessLog::Kind::kOff  ? "off"
                                                                                   : config.log.access.path;
  log_options.channels = workers + 1;
  auto sink = telemetry::LogSink::Open(log_options);
  if (!sink.has_value()) return FailStart("cannot open the access log " + log_options.access);

  server::ConnectionCount count;
  net::Resolver resolver;
  std::vector<net::ListenSocket> sockets;
  std::vector<std::unique_ptr<WorkerThread>> threads;
  for (unsigned i = 0; i < workers; ++i) {
    telemetry::LogChannel* channel = (*sink)->access_enabled() ? &(*sink)->OpenChannel() : nullptr;
    threads.push_back(std::make_unique<WorkerThread>(i, metrics, channel, count, resolver, built.snapshot));
  }
  for (std::size_t l = 0; l < config.server.listeners.size(); ++l) {
    const auto address = rt::Address::Parse(AddressText(config.server.listeners[l]));
    if (!address.has_value()) return FailStart("bad listener address");
    rt::Address bound = *address;
    for (unsigned i = 0; i < workers; ++i) {
      const bool shared = address->is_unix();
      if (!shared || i == 0) {
        auto socket = net::ListenSocket::Open(bound, !shared);
        if (!socket.has_value()) return FailStart(socket.error());
        bound = socket->address();
        sockets.push_back(std::move(*socket));
      }
      threads[i]->AddListener(sockets.back().fd(), shared, built.snapshot->listener_tls[l]);
    }
    std::fprintf(stderr, "penstock: listening on %s\n", bound.ToString().c_str());
  }
  for (auto& thread : threads) thread->Start(config.server.pin_workers);
  int signal = 0;
  sigwait(&signals, &signal);
  for (auto& thread : threads) thread->StopAndJoin();
  return 0;
}

}  // namespace penstock::app
