#pragma once

#include <memory>

#include "penstock/cache/redis_options.hpp"
#include "penstock/cache/redis_purges.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

class RedisEar;

/// Owned by one Worker. One per process. Hears what other instances purge, by Pub/Sub, and obeys: raises the epochs,
/// reports purged keys. While it does not hear, no tier of the process uses Redis; once it hears again, each reads what
/// was missed first.
///
/// Keeps one connection to the server, to the sentinels and the master they name, or to each configured node of a
/// cluster (whose nodes pass messages on to all), and listens on one. It is deaf when that one breaks or when no reply
/// to a PING came within kPatience: a purge is obeyed, or Redis left alone, within a second.
class RedisListener {
 public:
  static constexpr Duration kPingInterval = std::chrono::milliseconds(250);
  static constexpr Duration kPatience = std::chrono::milliseconds(500);

  RedisListener(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisPurges& purges,
                RedisEvents& events);
  ~RedisListener();
  RedisListener(const RedisListener&) = delete;
  RedisListener& operator=(const RedisListener&) = delete;

 private:
  std::unique_ptr<RedisEar> ear_;
};

}  // namespace penstock::cache
