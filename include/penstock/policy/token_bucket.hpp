#pragma once

#include <algorithm>
#include <cstdint>

#include "penstock/base/assert.hpp"
#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Owned by one Worker. `burst` at once, `per_second` in the long run; starts full.
///
/// Kept as the generic cell rate algorithm (ITU-T I.371): one moment, the one at which the bucket is full
/// again. No refill to forget, no fraction to lose, and a step of `now` backwards refuses at most what it
/// stepped.
class TokenBucket {
 public:
  /// burst >= 1, 0 < per_second <= 1e9, burst / per_second under a century.
  TokenBucket(std::uint32_t burst, double per_second) : interval_ns_(static_cast<std::int64_t>(1e9 / per_second)) {
    PENSTOCK_ASSERT(burst >= 1 && per_second > 0 && per_second <= 1e9 && burst / per_second < 3.2e9);
    capacity_ns_ = interval_ns_ * burst;
  }

  /// Takes `tokens`, all or none.
  bool TryTake(TimePoint now, std::uint32_t tokens = 1) noexcept {
    const std::int64_t from = std::max(full_at_.ns, now.ns);
    // capacity_ns_ bounds the cost before the product can overflow.
    if (tokens > static_cast<std::uint64_t>(capacity_ns_ / interval_ns_)) return false;
    const std::int64_t cost = interval_ns_ * tokens;
    if (from - now.ns + cost > capacity_ns_) return false;
    full_at_.ns = from + cost;
    return true;
  }

 private:
  std::int64_t interval_ns_;  ///< one token's time
  std::int64_t capacity_ns_;
  TimePoint full_at_{INT64_MIN};
};

}  // namespace penstock::policy
