#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "penstock/cache/shared_cache.hpp"

namespace penstock::app {

/// Shared: a mutex around what was last said of each server. What the workers hear of Redis: every worker has a tier of
/// its own, so a server that goes is told by all of them, and logged once. Keys that others purged leave memory and
/// disk.
class RedisReports final : public cache::RedisEvents {
 public:
  /// `log` takes a change of a server's state, on any worker's thread.
  using Log = std::function<void(std::string server, cache::RedisTrouble trouble)>;
  RedisReports(cache::SharedCache& cache, Log log) : cache_(cache), log_(std::move(log)) {}

  void OnRedisServer(std::string_view server, cache::RedisTrouble trouble) override;
  void OnPurgedKey(const Digest& digest) override;

 private:
  cache::SharedCache& cache_;
  Log log_;
  std::mutex mutex_;
  std::map<std::string, cache::RedisTrouble, std::less<>> told_;
};

}  // namespace penstock::app
