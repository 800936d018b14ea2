#pragma once

#include <string_view>

#include "cache/redis/topology.hpp"
#include "penstock/cache/redis_listener.hpp"

namespace penstock::cache {

/// Owned by one Worker. What a RedisListener is made of: its servers, and the subscription on one of them.
class RedisEar final : private RedisTopologyEvents, private RedisWaiter {
 public:
  RedisEar(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisPurges& purges, RedisEvents& events);
  ~RedisEar();
  RedisEar(const RedisEar&) = delete;
  RedisEar& operator=(const RedisEar&) = delete;

 private:
  void OnServersChanged() override;
  void OnReply(const redis::Reply& reply) override;
  void OnLost() override;
  void OnTimer();
  void OnSubscribed();
  void Obey(std::string_view message);
  void Ping();

  const RedisOptions options_;
  RedisPurges& purges_;
  RedisEvents& events_;
  rt::Worker& worker_;
  RedisStats stats_;           ///< nobody reads them
  RedisNode* node_ = nullptr;  ///< on which the subscription is, or is asked for
  RedisLink* link_ = nullptr;  ///< its connection
  unsigned unanswered_ = 0;    ///< PINGs
  rt::Timer timer_;
  RedisTopology topology_;
};

}  // namespace penstock::cache
