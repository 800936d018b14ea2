#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Shared: relaxed atomics. A quantile of durations over the last one to two windows, read up to half a second late: a
/// counting histogram per window, of which the older is forgotten as a whole (the way of Finagle's
/// WindowedPercentileHistogram, which sends its backup requests by it). Eight buckets per octave, so the answer is at
/// most an eighth above the truth, and never below it.
///
/// A sample that arrives while a window is opened may be lost; counts publish no other memory.
class WindowedQuantile {
 public:
  static constexpr std::uint32_t kSamplesMin = 20;  ///< fewer say nothing: of twenty one is beyond a 95th percentile
  static constexpr Duration kWindow = std::chrono::seconds(30);

  /// 0 < quantile < 1
  explicit WindowedQuantile(double quantile) noexcept : quantile_(quantile) {}
  WindowedQuantile(const WindowedQuantile&) = delete;
  WindowedQuantile& operator=(const WindowedQuantile&) = delete;

  void Observe(TimePoint now, Duration sample) noexcept;
  /// Nothing before kSamplesMin samples of the last windows.
  std::optional<Duration> Estimate(TimePoint now) noexcept;

 private:
  static constexpr unsigned kSubBits = 3;
  static constexpr unsigned kLowBits = 16;   ///< 65 us: what is shorter is counted there
  static constexpr unsigned kHighBits = 40;  ///< 18 minutes: what is longer likewise
  static constexpr std::size_t kBuckets = ((kHighBits - kLowBits) << kSubBits) + 1;
  static constexpr Duration kFresh = std::chrono::milliseconds(500);

  static std::size_t BucketOf(Duration sample) noexcept;
  static Duration UpperEdge(std::size_t bucket) noexcept;
  static std::int64_t NumberOf(TimePoint now) noexcept { return now.ns / kWindow.count(); }
  std::int64_t Compute(TimePoint now) const noexcept;

  struct Window {
    std::atomic<std::int64_t> number{-1};
    std::array<std::atomic<std::uint32_t>, kBuckets> counts{};
  };

  const double quantile_;
  std::array<Window, 2> windows_;
  std::atomic<std::int64_t> computed_at_{INT64_MIN};
  std::atomic<std::int64_t> estimate_ns_{0};  ///< 0: unknown
};

}  // namespace penstock::policy
