#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "penstock/control/control.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::app {

/// Owned by the main thread. The control thread: a worker of its own, not pinned, so that the admin API and reloads
/// cost the serving threads nothing.
class ControlThread {
 public:
  explicit ControlThread(std::unique_ptr<rt::EventLoop> loop);
  ~ControlThread();

  /// Before Start.
  void Build(control::ControlParts parts, int admin_fd);
  void Start();
  /// Runs on the control thread.
  void Post(std::function<void(control::Control&)> letter);
  void StopAndJoin();

 private:
  rt::Worker worker_;
  std::unique_ptr<control::Control> control_;
  std::thread thread_;
};

}  // namespace penstock::app
