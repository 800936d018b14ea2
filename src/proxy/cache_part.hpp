#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "penstock/cache/admission.hpp"
#include "penstock/cache/flight.hpp"
#include "penstock/cache/key.hpp"
#include "penstock/cache/lead.hpp"

namespace penstock::proxy {

/// What the cache did for a request: `x-penstock-cache` and the access log's field.
enum class CacheStatus : std::uint8_t {
  kNone,  ///< the request did not come so far
  kHitMemory,
  kHitRedis,
  kHitDisk,
  kCoalesced,  ///< answered by another request's upstream call
  kMiss,
  kBypass,
};
/// Empty for kNone.
std::string_view CacheStatusName(CacheStatus status) noexcept;

/// Owned by one Worker. The cache's part of a request's context.
struct CachePart {
  CacheStatus status = CacheStatus::kNone;
  cache::Admission admission;
  std::optional<cache::CacheKey> key;
  std::optional<cache::CacheKey> fallback_key;  ///< of the model that stands in
  std::uint64_t key_purges = 0;                 ///< SharedCache::key_purges when the request was looked up
  std::uint64_t purges_heard = 0;               ///< RedisPurges::heard() then
  std::uint64_t epochs = 0;                     ///< SumOfEpochs() then: while it is the same, the key is
  std::optional<cache::Lead> lead;              ///< of the call that this request makes; what is relayed is told to it
  std::function<void()> followers_changed;      ///< the exchange's: the first has come, or the last has left
  cache::Follower* follower = nullptr;          ///< while it reads another request's answer

  /// Others live on this request's upstream call.
  bool followed() const noexcept { return lead.has_value() && lead->followed(); }
  void Clear() {
    status = CacheStatus::kNone;
    admission = {};
    key.reset();
    fallback_key.reset();
    lead.reset();
    follower = nullptr;
  }
};

}  // namespace penstock::proxy
