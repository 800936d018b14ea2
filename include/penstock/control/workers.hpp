#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "penstock/proxy/gateway.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::control {

/// Runs a letter on a worker's thread, with its gateway, or drops it when that worker has ended.
using PostToGateway = std::function<void(std::function<void(proxy::Gateway&)>)>;

/// Owned by one Worker. On the control thread. All workers that serve, reached through their mailboxes.
class Workers {
 public:
  Workers(rt::Worker& home, std::vector<PostToGateway> posts);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  std::size_t size() const noexcept { return posts_.size(); }
  /// Runs `letter` on every worker, some time soon, in the order of the calls.
  void Tell(const std::function<void(proxy::Gateway&)>& letter);
  /// On one of them; 0 is always there.
  void TellOne(std::size_t worker, std::function<void(proxy::Gateway&)> letter);
  /// As Tell(); `done` runs on the control thread when the last one has. Never when a worker has ended meanwhile, so
  /// whoever asks has a timer too.
  void Ask(const std::function<void(proxy::Gateway&, std::size_t worker)>& letter, std::function<void()> done);

 private:
  rt::Worker& home_;
  std::vector<PostToGateway> posts_;
  std::shared_ptr<const bool> alive_;  ///< answers that come after the end are dropped
};

}  // namespace penstock::control
