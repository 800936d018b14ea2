#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "penstock/cache/shared_cache.hpp"
#include "penstock/config/config.hpp"
#include "penstock/net/tls.hpp"

namespace penstock::app {

/// What `cache` asks for, opened.
struct CacheSetup {
  std::shared_ptr<const net::TlsClientContext> redis_tls;  ///< for rediss://
  cache::SharedCache cache;
};

/// Fills `setup`; the line why not, or none. `report` takes lines of the disk tier for the operator, on any thread.
std::optional<std::string> OpenCache(const config::Cache& config, unsigned workers,
                                     std::function<void(std::string)> report, CacheSetup& setup);
/// The urls of `cache.redis` in the cache's terms; the line why not. Also what `penstock check` asks.
std::optional<std::string> RedisOptionsOf(const config::Cache& config, cache::RedisOptions& options);

}  // namespace penstock::app
