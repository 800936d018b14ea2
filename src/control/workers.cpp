#include "penstock/control/workers.hpp"

#include <atomic>

namespace penstock::control {

Workers::Workers(rt::Worker& home, std::vector<PostToGateway> posts)
    : home_(home), posts_(std::move(posts)), alive_(std::make_shared<const bool>(true)) {}

void Workers::Tell(const std::function<void(proxy::Gateway&)>& letter) {
  for (const PostToGateway& post : posts_) post(letter);
}

void Workers::TellOne(std::size_t worker, std::function<void(proxy::Gateway&)> letter) {
  posts_[worker](std::move(letter));
}

void Workers::Ask(const std::function<void(proxy::Gateway&, std::size_t)>& letter, std::function<void()> done) {
  struct Round {
    std::atomic<std::size_t> left;
    std::function<void(proxy::Gateway&, std::size_t)> letter;
    std::function<void()> done;
  };
  const std::shared_ptr<Round> round(new Round{posts_.size(), letter, std::move(done)});
  for (std::size_t i = 0; i < posts_.size(); ++i) {
    posts_[i]([round, i, &home = home_, alive = std::weak_ptr(alive_)](proxy::Gateway& gateway) {
      round->letter(gateway, i);
      if (round->left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
      home.Post([round, alive] {
        if (!alive.expired()) round->done();
      });
    });
  }
}

}  // namespace penstock::control
