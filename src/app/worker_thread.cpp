#include "app/worker_thread.hpp"

#include <pthread.h>

#include "penstock/base/prng.hpp"

namespace penstock::app {

WorkerThread::WorkerThread(unsigned index, const telemetry::GatewayMetrics& metrics, telemetry::LogChannel* access_channel,
                           server::ConnectionCount& count, net::Resolver& resolver, std::shared_ptr<const proxy::Snapshot> snapshot)
    : worker_(index, rt::MakeEpollLoop(), SystemSeed()),
      metrics_(metrics),
      access_log_(access_channel),
      gateway_(std::make_unique<proxy::Gateway>(worker_, metrics_, access_log_, count, resolver, std::move(snapshot))) {}

WorkerThread::~WorkerThread() { StopAndJoin(); }

void WorkerThread::AddListener(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls) {
  gateway_->server().Listen(fd, shared, std::move(tls));
}

void WorkerThread::Start(bool pin) {
  thread_ = std::thread([this, pin] {
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(worker_.index())).c_str());
    if (pin) rt::PinThread(worker_.index());
    worker_.Run();
    gateway_.reset();
  });
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
