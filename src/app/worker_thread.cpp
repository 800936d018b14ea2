#include "app/worker_thread.hpp"

#include <pthread.h>

#include "app/crash_report.hpp"
#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"

namespace penstock::app {

WorkerThread::WorkerThread(unsigned index, std::unique_ptr<rt::EventLoop> loop, rt::OffloadThreads& offload,
                           net::Resolver& resolver, const telemetry::GatewayMetrics& metrics,
                           telemetry::LogChannel& log, bool access_lines, server::ConnectionCount& count,
                           cache::SharedCache& cache, cache::RedisEvents* redis_events,
                           std::shared_ptr<const proxy::Snapshot> snapshot)
    : worker_(index, std::move(loop), SystemSeed()),
      metrics_(metrics),
      access_log_(&log, access_lines),
      gateway_(std::make_unique<proxy::Gateway>(worker_, offload, resolver, metrics_, access_log_, count, cache,
                                                redis_events, std::move(snapshot))) {}

WorkerThread::~WorkerThread() { StopAndJoin(); }

void WorkerThread::AddListener(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls) {
  gateway_->server().Listen(fd, shared, std::move(tls));
}

void WorkerThread::Start(bool pin) {
  thread_ = std::thread([this, pin] {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(worker_.index())).c_str());
    const CrashStack stack;
    if (pin) rt::PinThread(worker_.index());
    Run();
    gateway_.reset();
  });
}

/// worker_.Run() with a second look at the clock after each turn: loop_seconds, the work without the wait.
void WorkerThread::Run() {
  while (!worker_.stopped()) {
    worker_.RunTurn();
    metrics_.gateway.loop.Observe(metrics_.slab, ReadMonotonicClock() - worker_.Now());
  }
}

void WorkerThread::Post(std::function<void(proxy::Gateway&)> letter) {
  worker_.Post([this, letter = std::move(letter)] {
    if (gateway_ != nullptr) letter(*gateway_);
  });
}

void WorkerThread::StopAndJoin() {
  if (!thread_.joinable()) return;
  worker_.Stop();
  thread_.join();
}

}  // namespace penstock::app
