#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Immutable. The moment by which something must be over; never, unless told.
struct Deadline {
  TimePoint at = TimePoint::Max();

  static constexpr Deadline Never() { return {}; }
  /// `wait` from now; a wait beyond the clock's range is never, a negative one is now.
  static constexpr Deadline After(TimePoint now, Duration wait) {
    if (wait.count() >= TimePoint::Max().ns - now.ns) return Never();
    return {now + std::max(wait, Duration::zero())};
  }

  constexpr bool never() const { return at == TimePoint::Max(); }
  constexpr bool Expired(TimePoint now) const { return now >= at; }
  /// Not below zero; Duration::max() when never.
  constexpr Duration Remaining(TimePoint now) const {
    if (never()) return Duration::max();
    return std::max(at - now, Duration::zero());
  }

  friend constexpr Deadline Earlier(Deadline a, Deadline b) { return {std::min(a.at, b.at)}; }
  friend constexpr bool operator==(Deadline, Deadline) = default;
};

/// The client's `x-penstock-timeout-ms`: a whole number of milliseconds from 1 up; none when it is anything
/// else. What is too large to represent becomes Duration::max(): harmless, because the value can only shorten
/// `total`.
std::optional<Duration> ParseTimeoutMs(std::string_view text) noexcept;

/// `total`, or the client's wish where that is shorter.
constexpr Deadline RequestDeadline(TimePoint now, Duration total, std::optional<Duration> client) {
  const Deadline limit = Deadline::After(now, total);
  return client ? Earlier(limit, Deadline::After(now, *client)) : limit;
}

}  // namespace penstock::policy
