#pragma once

#include <array>
#include <cstdint>

#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::telemetry {

/// How a request fared that waited for an equal one's upstream call: label `outcome`.
enum class CoalescedOutcome : std::uint8_t {
  kDone,
  kUncacheable,   ///< the answer could not be shared: it asked for itself
  kLeaderFailed,  ///< the call failed: one of those who waited began anew; or it broke after commit
  kLeaderGone,    ///< likewise, the leader's client had left
  kTimedOut,      ///< its own deadline came first
  kCrowded,       ///< as many as may wait did already: it asked for itself
};
inline constexpr std::size_t kCoalescedOutcomes = 6;

/// A tier of the cache, label `tier`, and what came of a look into it, label `result`.
inline constexpr std::size_t kCacheTiers = 3;
enum class LookupResult : std::uint8_t {
  kHit,
  kMiss,
  kCorrupt,
  kFailed,   ///< timed out, lost, refused by the server or the file system
  kRefused,  ///< as many as may be were under way: an immediate miss
  kSkipped,  ///< the tier was not in use
};
inline constexpr std::size_t kLookupResults = 6;

/// Immutable. What a tier counts by itself, set as a whole at each scrape.
struct CacheTierMetrics {
  std::array<Gauge, kLookupResults> lookups;  ///< by LookupResult
  Gauge bytes;
  Gauge entries;
  Gauge evictions;
  Gauge corrupt;
};

/// Immutable. The metrics of the response cache; part of GatewayMetrics.
struct CacheMetrics {
  explicit CacheMetrics(MetricRegistry& registry);
  std::array<CacheTierMetrics, kCacheTiers> tiers;    ///< memory, redis, disk
  std::array<Counter, kCoalescedOutcomes> coalesced;  ///< by CoalescedOutcome
};

}  // namespace penstock::telemetry
