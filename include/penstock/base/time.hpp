#pragma once

#include <chrono>
#include <cstdint>

namespace penstock {

/// All durations are nanoseconds inside; the literals of <chrono> convert.
using Duration = std::chrono::nanoseconds;

/// A point of the monotonic clock (CLOCK_MONOTONIC), or of a SimClock in tests. Pure code takes it as an argument.
struct TimePoint {
  std::int64_t ns = 0;

  static constexpr TimePoint Max() { return TimePoint{INT64_MAX}; }
  friend constexpr auto operator<=>(TimePoint, TimePoint) = default;
  friend constexpr TimePoint operator+(TimePoint t, Duration d) { return TimePoint{t.ns + d.count()}; }
  friend constexpr TimePoint operator-(TimePoint t, Duration d) { return TimePoint{t.ns - d.count()}; }
  friend constexpr Duration operator-(TimePoint a, TimePoint b) { return Duration{a.ns - b.ns}; }
};

/// The wall clock in microseconds since the epoch: for log lines and Date fields, never for waiting.
struct WallTime {
  std::int64_t us = 0;
};

/// Reads the clocks. Only rt::Worker (once per loop turn) and programs' main may call them.
TimePoint ReadMonotonicClock() noexcept;
WallTime ReadWallClock() noexcept;

constexpr double ToMilliseconds(Duration d) { return static_cast<double>(d.count()) / 1e6; }
constexpr double ToSeconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

}  // namespace penstock
