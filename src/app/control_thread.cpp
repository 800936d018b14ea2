#include "app/control_thread.hpp"

#include <pthread.h>

#include "app/crash_report.hpp"
#include "penstock/base/prng.hpp"

namespace penstock::app {
namespace {

constexpr unsigned kIndex = ~0u;  // no serving worker has it

}  // namespace

ControlThread::ControlThread(std::unique_ptr<rt::EventLoop> loop) : worker_(kIndex, std::move(loop), SystemSeed()) {}

ControlThread::~ControlThread() { StopAndJoin(); }

void ControlThread::Build(control::ControlParts parts, int admin_fd) {
  control_ = std::make_unique<control::Control>(worker_, std::move(parts));
  control_->Listen(admin_fd);
}

void ControlThread::Start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "control");
    const CrashStack stack;
    worker_.Run();
    control_.reset();
  });
}

void ControlThread::Post(std::function<void(control::Control&)> letter) {
  worker_.Post([this, letter = std::move(letter)] {
    if (control_ != nullptr) letter(*control_);
  });
}

void ControlThread::StopAndJoin() {
  if (!thread_.joinable()) return;
  worker_.Stop();
  thread_.join();
}

}  // namespace penstock::app
