#pragma once

#include <array>
#include <cstddef>

#include "penstock/cache/redis_tier.hpp"

namespace penstock::cache {

/// Owned by one Worker. Whether a server fails too often: the times of its last kFailuresMax failures, in a ring.
class RedisBreaker {
 public:
  /// True when this failure is the kFailuresMax-th within kFailureWindow; counting begins anew then.
  bool Failed(TimePoint now) noexcept {
    times_[count_ % times_.size()] = now;
    ++count_;
    if (count_ < times_.size()) return false;
    const TimePoint oldest = times_[count_ % times_.size()];
    if (now - oldest > RedisTier::kFailureWindow) return false;
    count_ = 0;
    return true;
  }

 private:
  std::array<TimePoint, RedisTier::kFailuresMax> times_{};
  std::size_t count_ = 0;
};

}  // namespace penstock::cache
