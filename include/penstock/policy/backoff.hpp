#pragma once

#include <algorithm>
#include <cstdint>

#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"

namespace penstock::policy {

/// The time before the `retry_number`-th retry (the first is 1): uniform in [0, min(max, base * 2^(retry_number - 1))].
/// "Full jitter" of M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015: of the kinds compared
/// there it made the fewest calls, and unlike "decorrelated" it has no state to keep. Saturates; zero or less is no
/// wait.
inline Duration NextBackoff(Duration base, Duration max, std::uint32_t retry_number, Prng& prng) noexcept {
  const std::int64_t limit = std::max<std::int64_t>(max.count(), 0);
  const std::int64_t first = std::max<std::int64_t>(base.count(), 0);
  const std::uint32_t doublings = std::min(std::max(retry_number, 1u) - 1, 62u);
  const std::int64_t ceiling = first > (limit >> doublings) ? limit : first << doublings;
  return Duration(static_cast<std::int64_t>(prng.Below(static_cast<std::uint64_t>(ceiling) + 1)));
}

}  // namespace penstock::policy
