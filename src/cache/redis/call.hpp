#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cache/redis/topology.hpp"
#include "penstock/rt/task.hpp"

namespace penstock::cache {

/// Owned by one Worker. One command about one key until its reply, over at most RedisTier::kRedirectsMax MOVED and ASK.
/// Destroying it forgets the reply.
class RedisCall : private RedisWaiter {
 public:
  enum class Sent : std::uint8_t { kYes, kNoServer, kFull };

  RedisCall(const RedisCall&) = delete;
  RedisCall& operator=(const RedisCall&) = delete;

 protected:
  /// `patience`: a redirection that comes later than this after Send() is not followed.
  RedisCall(RedisTopology& topology, Duration patience) noexcept : topology_(topology), patience_(patience) {}
  ~RedisCall() { Forget(); }

  /// To the server of `key`, which outlives the call; OnAnswer or OnNoAnswer follows later when that was possible.
  Sent Send(std::string_view key);
  void Forget() noexcept;

  virtual void Append(Chain& out) = 0;  ///< the command; once more per redirection
  /// A redirection too, when it could not be followed.
  virtual void OnAnswer(const redis::Reply& reply) = 0;
  virtual void OnNoAnswer() = 0;

  RedisTopology& topology() noexcept { return topology_; }
  RedisNode& node() noexcept { return *node_; }  ///< which answered

 private:
  Sent SendTo(RedisNode* node, bool asking);
  bool Follow(const redis::Reply& reply);
  void OnReply(const redis::Reply& reply) override;
  void OnLost() override;

  RedisTopology& topology_;
  const Duration patience_;
  TimePoint began_{};
  RedisNode* node_ = nullptr;
  RedisLink* link_ = nullptr;  ///< while a reply is due
  std::uint64_t number_ = 0;
  unsigned redirects_ = 0;
};

/// Owned by one Worker. A call of any command by a coroutine, in whose frame it lives. For what is rare: it allocates.
class RedisQuestion final : private RedisCall {
 public:
  /// The words are borrowed until the answer.
  RedisQuestion(RedisTopology& topology, std::string_view key, std::span<const std::string_view> words) noexcept
      : RedisCall(topology, Duration::max()), key_(key), words_(words) {}

  /// Null: none. The reply is borrowed until the coroutine waits again.
  rt::Task<const redis::Reply*> Answer();
  using RedisCall::node;

 private:
  void Append(Chain& out) override;
  void OnAnswer(const redis::Reply& reply) override;
  void OnNoAnswer() override { done_.Set(); }

  const std::string_view key_;
  const std::span<const std::string_view> words_;
  const redis::Reply* reply_ = nullptr;
  rt::Signal done_;
};

}  // namespace penstock::cache
