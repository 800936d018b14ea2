#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// The longest an endpoint is left alone for its Retry-After (contract, "Resilience rules"): a server that asks for an
/// hour is asked again after a minute.
inline constexpr Duration kEndpointRestMax = std::chrono::seconds(60);

/// Shared: one atomic. An endpoint that answered 429 or 503 with Retry-After is not chosen until then. That is
/// throttling, not failure: no breaker hears of it.
///
/// Relaxed: the moment publishes no other memory, and a request that misses it by a few nanoseconds was sent a few
/// nanoseconds before.
class EndpointRest {
 public:
  EndpointRest() = default;
  EndpointRest(const EndpointRest&) = delete;
  EndpointRest& operator=(const EndpointRest&) = delete;

  bool Resting(TimePoint now) const noexcept { return now < until(); }

  /// Only ever extends: of two answers the one that asks for longer counts, whichever was read first.
  void RestUntil(TimePoint until) noexcept {
    std::int64_t seen = until_ns_.load(std::memory_order_relaxed);
    while (seen < until.ns && !until_ns_.compare_exchange_weak(seen, until.ns, std::memory_order_relaxed)) {}
  }

  /// `asked` is ParseRetryAfter()'s value; at most kEndpointRestMax of it counts.
  void RestFor(TimePoint now, Duration asked) noexcept {
    if (asked > Duration::zero()) RestUntil(now + std::min(asked, kEndpointRestMax));
  }

  /// TimePoint{0} when it never rested.
  TimePoint until() const noexcept { return TimePoint{until_ns_.load(std::memory_order_relaxed)}; }

 private:
  std::atomic<std::int64_t> until_ns_{0};
};

}  // namespace penstock::policy
