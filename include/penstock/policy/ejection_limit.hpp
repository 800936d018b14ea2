#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "penstock/base/assert.hpp"

namespace penstock::policy {

/// How many of `endpoints` may be ejected at once: the share of them rounded down, and never all. With a fallback
/// model behind them all may be.
///
/// The share is Envoy's `max_ejection_percent` (outlier detection), but where Envoy may eject one host whatever the
/// share (`always_eject_one_host`), here the last endpoint stays: a bad answer is better than none. The 1e-9 undoes the
/// binary fraction: 0.29 of 100 is 29.
constexpr std::uint32_t EjectionsAllowed(std::uint32_t endpoints, double max_ejected, bool has_fallback) noexcept {
  if (has_fallback || endpoints == 0) return endpoints;
  const double share = std::clamp(max_ejected, 0.0, 1.0) * endpoints + 1e-9;
  return std::min(static_cast<std::uint32_t>(share), endpoints - 1);
}

/// Shared: one atomic, one object per cluster and model. The endpoints whose breaker is not closed; outlives the
/// breakers.
///
/// An endpoint counts until its breaker closes, half-open ones too: they carry no traffic but one probe at a time, and
/// a place given away at half-open would be missing when the probe fails, so that a breaker just proved right would
/// have to close.
class EjectionLimit {
 public:
  /// At most `allowed` at once, as EjectionsAllowed() says.
  explicit EjectionLimit(std::uint32_t allowed) noexcept : allowed_(allowed) {}
  EjectionLimit(const EjectionLimit&) = delete;
  EjectionLimit& operator=(const EjectionLimit&) = delete;

  /// Takes a place, if there is one. Compare-and-swap: the loser of a race must not overshoot for a moment.
  bool TryEject() noexcept {
    std::uint32_t seen = ejected_.load(std::memory_order_relaxed);
    do {
      if (seen >= allowed_) return false;
    } while (!ejected_.compare_exchange_weak(seen, seen + 1, std::memory_order_relaxed));
    total_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }

  /// Gives back what TryEject() took.
  void Return() noexcept {
    const std::uint32_t before = ejected_.fetch_sub(1, std::memory_order_relaxed);
    PENSTOCK_ASSERT(before != 0);
  }

  std::uint32_t ejected() const noexcept { return ejected_.load(std::memory_order_relaxed); }
  std::uint64_t total() const noexcept { return total_.load(std::memory_order_relaxed); }  ///< ever
  std::uint32_t allowed() const noexcept { return allowed_; }

 private:
  const std::uint32_t allowed_;
  std::atomic<std::uint32_t> ejected_{0};
  std::atomic<std::uint64_t> total_{0};
};

}  // namespace penstock::policy
