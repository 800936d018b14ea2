#include "app/cache_setup.hpp"

#include <algorithm>

#include "penstock/base/time.hpp"
#include "penstock/control/resource_files.hpp"

namespace penstock::app {
namespace {

constexpr std::uint64_t kAutoMemoryMax = std::uint64_t{4} << 30;

cache::RedisMode ModeOf(config::RedisMode mode) {
  switch (mode) {
    case config::RedisMode::kSingle: return cache::RedisMode::kSingle;
    case config::RedisMode::kCluster: return cache::RedisMode::kCluster;
    case config::RedisMode::kSentinel: return cache::RedisMode::kSentinel;
  }
  return cache::RedisMode::kSingle;
}

/// A quarter of what the process may use, if that is known.
std::uint64_t AutoMemory() {
  const std::uint64_t usable = control::ResourceFiles().UsableBytes();
  return usable == 0 ? kAutoMemoryMax : std::min(kAutoMemoryMax, usable / 4);
}

std::unique_ptr<cache::MemoryTier> MakeMemory(const config::Cache& config, unsigned workers) {
  cache::MemoryOptions options;
  options.size_bytes = config.memory.size.has_value() ? *config.memory.size : AutoMemory();
  if (options.size_bytes == 0) return nullptr;
  options.shards = config.memory.shards.value_or(
      cache::MemoryShardsFor(options.size_bytes, workers, static_cast<std::size_t>(config.max_entry)));
  options.policy =
      config.memory.policy == config::CacheEviction::kLru ? cache::Eviction::kLru : cache::Eviction::kS3Fifo;
  options.compress_after = static_cast<std::size_t>(config.memory.compress_after);
  return std::make_unique<cache::MemoryTier>(options);
}

std::optional<std::string> OpenDisk(const config::DiskCache& config, std::function<void(std::string)> report,
                                    cache::SharedCache& cache) {
  if (config.path.empty()) return std::nullopt;
  cache::DiskOptions options;
  options.path = config.path;
  options.size = config.size;
  options.now = ReadMonotonicClock;
  options.wall = ReadWallClock;
  options.report = std::move(report);
  auto opened = cache::DiskTier::Open(std::move(options));
  if (!opened.has_value()) return opened.error();
  cache.disk = std::move(*opened);
  for (const auto& [name, value] : cache.disk->Epochs()) cache.epochs.RaiseTo(name, value);
  // What others purge is to outlast this process too.
  cache.epochs.WhenRaised([disk = cache.disk.get()](std::string_view name, std::uint64_t value) {
    disk->RaiseEpoch(name, value, [](std::optional<std::uint64_t>) {});
  });
  return std::nullopt;
}

}  // namespace

std::optional<std::string> RedisOptionsOf(const config::Cache& config, cache::RedisOptions& options) {
  for (std::size_t i = 0; i < config.redis.urls.size(); ++i) {
    auto url = redis::Url::Parse(config.redis.urls[i].reveal());
    if (!url.has_value()) return "cache.redis.urls[" + std::to_string(i) + "]: " + std::string(url.error().message);
    options.urls.push_back(std::move(*url));
  }
  options.mode = ModeOf(config.redis.mode);
  options.master = config.redis.master;
  options.connect_timeout = config.redis.connect_timeout;
  options.timeout = config.redis.timeout;
  options.in_flight_max = config.redis.in_flight_max;
  options.entry_max = static_cast<std::size_t>(config.max_entry);
  return std::nullopt;
}

std::optional<std::string> OpenCache(const config::Cache& config, unsigned workers,
                                     std::function<void(std::string)> report, CacheSetup& setup) {
  setup.cache.memory = MakeMemory(config, workers);
  if (auto error = RedisOptionsOf(config, setup.cache.redis)) return error;
  const auto& urls = setup.cache.redis.urls;
  if (std::any_of(urls.begin(), urls.end(), [](const redis::Url& url) { return url.tls; })) {
    auto tls = net::TlsClientContext::Make({.offer_h2 = false, .offer_http1 = false});
    if (!tls.has_value()) return "cache.redis.urls: " + tls.error();
    setup.redis_tls = std::move(*tls);
    setup.cache.redis.tls = setup.redis_tls.get();
  }
  return OpenDisk(config.disk, std::move(report), setup.cache);
}

}  // namespace penstock::app
