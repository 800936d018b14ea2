#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "penstock/cache/disk_tier.hpp"
#include "penstock/cache/epochs.hpp"
#include "penstock/cache/flight_table.hpp"
#include "penstock/cache/memory_tier.hpp"
#include "penstock/cache/redis_options.hpp"
#include "penstock/cache/redis_purges.hpp"

namespace penstock::cache {

/// Shared: each part as it says of itself. What all workers of a process have of the cache. Made before them, ends
/// after them.
struct SharedCache {
  std::unique_ptr<MemoryTier> memory;  ///< null: off
  std::unique_ptr<DiskTier> disk;      ///< null: off
  RedisOptions redis;                  ///< no urls: off; the tiers themselves are the workers' own
  FlightTable flights;
  Epochs epochs;
  /// How many purges by key were heard of: raised before anything is erased. Who began to look or to lead before, and
  /// stores after, would bring back what was purged.
  std::atomic<std::uint64_t> key_purges{0};
  RedisPurges redis_purges{epochs};
};

}  // namespace penstock::cache
