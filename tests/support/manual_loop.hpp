#pragma once

#include <condition_variable>
#include <mutex>

#include "penstock/rt/event_loop.hpp"

namespace penstock::test {

/// An event loop without sockets whose clock the test sets: for code that needs a worker's timers and mailbox only.
/// Poll never waits; WaitForWake does, for letters that other threads post.
class ManualLoop final : public rt::EventLoop {
 public:
  explicit ManualLoop(TimePoint now) noexcept : now_(now) {}

  std::unique_ptr<rt::Socket> Connect(const rt::Address&, const rt::ConnectOptions&, rt::SocketHandler&) override {
    return nullptr;
  }
  std::unique_ptr<rt::Acceptor> Listen(int, bool, rt::AcceptHandler&) override { return nullptr; }
  void Poll(TimePoint) override {}
  TimePoint Now() const noexcept override { return now_; }
  TimePoint ReadClock() const noexcept override { return now_; }
  void Wake() noexcept override {
    const std::lock_guard lock(mutex_);
    ++wakes_;
    woken_.notify_all();
  }
  std::string_view name() const noexcept override { return "manual"; }

  void Advance(Duration by) noexcept { now_ = now_ + by; }
  /// Until somebody has woken the loop since the last call.
  void WaitForWake() {
    std::unique_lock lock(mutex_);
    woken_.wait(lock, [this] { return wakes_ > 0; });
    wakes_ = 0;
  }

 private:
  TimePoint now_;
  std::mutex mutex_;
  std::condition_variable woken_;
  int wakes_ = 0;
};

}  // namespace penstock::test
