#include "proxy/cache_sample.hpp"

namespace penstock::proxy {
namespace {

using telemetry::LookupResult;

class TierSample {
 public:
  TierSample(WorkerContext& context, cache::TierName tier)
      : slab_(context.metrics.slab), metrics_(context.metrics.gateway.cache.tiers[static_cast<std::size_t>(tier)]) {}

  TierSample& Lookups(LookupResult result, std::uint64_t count) {
    Set(metrics_.lookups[static_cast<std::size_t>(result)], count);
    return *this;
  }
  TierSample& Held(std::uint64_t entries, std::uint64_t bytes, std::uint64_t evictions) {
    Set(metrics_.entries, entries);
    Set(metrics_.bytes, bytes);
    Set(metrics_.evictions, evictions);
    return *this;
  }
  TierSample& Corrupt(std::uint64_t count) {
    Set(metrics_.corrupt, count);
    return *this;
  }

 private:
  void Set(const telemetry::Gauge& gauge, std::uint64_t value) { gauge.Set(slab_, static_cast<std::int64_t>(value)); }
  telemetry::Slab& slab_;
  const telemetry::CacheTierMetrics& metrics_;
};

}  // namespace

void SampleCache(WorkerContext& context) {
  if (const cache::RedisTier* redis = context.redis.get()) {
    const cache::RedisStats& stats = redis->stats();
    TierSample(context, cache::TierName::kRedis)
        .Lookups(LookupResult::kHit, stats.hits)
        .Lookups(LookupResult::kMiss, stats.misses)
        .Lookups(LookupResult::kCorrupt, stats.corrupt)
        .Lookups(LookupResult::kFailed, stats.failed)
        .Lookups(LookupResult::kRefused, stats.refused)
        .Lookups(LookupResult::kSkipped, stats.skipped)
        .Corrupt(stats.corrupt);
  }
  if (context.worker.index() != 0) return;
  const cache::SharedCache& shared = context.tiers.shared();
  if (shared.memory != nullptr) {
    const cache::MemoryUse use = shared.memory->Use();
    TierSample(context, cache::TierName::kMemory)
        .Lookups(LookupResult::kHit, use.hits)
        .Lookups(LookupResult::kMiss, use.misses)
        .Held(use.entries, use.bytes, use.evictions);
  }
  if (shared.disk != nullptr) {
    const cache::DiskStats stats = shared.disk->Stats();
    const std::uint64_t others = stats.corrupt + stats.read_errors + stats.reads_refused;
    TierSample(context, cache::TierName::kDisk)
        .Lookups(LookupResult::kHit, stats.hits)
        .Lookups(LookupResult::kMiss, stats.misses - std::min(others, stats.misses))
        .Lookups(LookupResult::kCorrupt, stats.corrupt)
        .Lookups(LookupResult::kFailed, stats.read_errors)
        .Lookups(LookupResult::kRefused, stats.reads_refused)
        .Held(stats.entries, stats.bytes, stats.evicted)
        .Corrupt(stats.corrupt);
  }
}

}  // namespace penstock::proxy
