#pragma once

#include <array>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Owned by one Worker. Or by a mutex's holder. How fast a queue has moved over the last seconds, and what to tell
/// those who are sent away: counts in one-second buckets, the oldest of which is forgotten as a whole.
class DrainRate {
 public:
  static constexpr std::size_t kSeconds = 8;
  static constexpr Duration kPauseMin = std::chrono::seconds(1);  ///< of Retry-After (contract, "Headers")
  static constexpr Duration kPauseMax = std::chrono::seconds(60);

  /// Somebody waits although nobody did before: the time that is counted begins now, unless it runs.
  void Begin(TimePoint now) noexcept;
  void OnDeparture(TimePoint now) noexcept;
  /// Departures per second; 0 when there was none.
  double PerSecond(TimePoint now) const noexcept;
  /// Until `waiting` will have gone at that rate, between kPauseMin and kPauseMax; `unknown` (clamped as well) when
  /// nobody has gone lately.
  Duration PauseFor(std::size_t waiting, TimePoint now, Duration unknown) const noexcept;

 private:
  static std::int64_t SecondOf(TimePoint now) noexcept { return now.ns / 1'000'000'000; }
  void Advance(TimePoint now) noexcept;

  std::array<std::uint32_t, kSeconds> counts_{};
  std::int64_t second_ = 0;  ///< of the newest bucket
  TimePoint since_{};        ///< what was counted began here; 0: nothing yet
};

}  // namespace penstock::policy
