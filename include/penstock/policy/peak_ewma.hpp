#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Shared: one relaxed atomic word. What an endpoint's answers take, pessimistically: a higher sample is believed at
/// once, a lower one by as much as time has passed since the sample before ("peak EWMA": Finagle, PeakEwma.scala; Tower
/// and Linkerd have it from there. The weight for samples at uneven intervals: Eckner, "Algorithms for Unevenly Spaced
/// Time Series", 2019). Two things are different here.
///
/// A lower sample counts by kSampleWeight at least. What one prompt takes says more about the prompt than about the
/// endpoint; were time alone to forgive, one long prompt would turn requests away for tens of seconds against the
/// evidence of hundreds.
///
/// A look changes nothing. The estimate also decays towards 0 by the age of its last sample, but only in the eyes of
/// who asks: so a pick writes no shared line, and the estimate does not depend on how often it was looked at.
///
/// Estimate and time of the last sample share the word, so that they always belong together: a float of seconds, and
/// ticks of about a millisecond. The ticks wrap after 52 days; an estimate that nobody renewed for longer looks
/// fresher than it is until the next sample.
class PeakEwma {
 public:
  /// Finagle's default. An endpoint that is avoided for a peak of n times the usual is tried again after ln(n) of these.
  static constexpr Duration kTau = std::chrono::seconds(10);

  /// While requests are under way and no sample comes, the estimate does not fall below 1/20: an endpoint that hangs
  /// would else look better by the second. An idle one has no floor; it is worth one request to find out.
  static constexpr double kDecayFloor = 0.05;

  /// Of a sample below the estimate.
  static constexpr float kSampleWeight = 1.0F / 8;

  explicit PeakEwma(Duration tau = kTau) noexcept : per_tick_(static_cast<float>(kTickNs / ToNs(tau))) {}
  PeakEwma(const PeakEwma&) = delete;
  PeakEwma& operator=(const PeakEwma&) = delete;

  /// A success took `sample`, or a failure took at least so long (a timeout). Never the time of a quick refusal: it
  /// would make a broken endpoint the fastest.
  void Observe(TimePoint now, Duration sample) noexcept;

  /// Seconds; 0 before the first sample. `idle`: nothing is under way there.
  double Estimate(TimePoint now, bool idle) const noexcept;

 private:
  static constexpr double kTickNs = 1 << 20;
  static double ToNs(Duration d) noexcept { return static_cast<double>(d.count()); }

  static std::uint32_t TickOf(TimePoint t) noexcept { return static_cast<std::uint32_t>(t.ns >> 20); }
  static std::uint64_t Pack(float seconds, std::uint32_t tick) noexcept {
    return std::uint64_t{std::bit_cast<std::uint32_t>(seconds)} << 32 | tick;
  }
  static float SecondsOf(std::uint64_t word) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(word >> 32));
  }
  /// Ticks since the sample in `word`; 0 if that one has the later clock, which another worker's turn may have.
  static std::int32_t AgeOf(std::uint64_t word, TimePoint now) noexcept {
    const auto age = static_cast<std::int32_t>(TickOf(now) - static_cast<std::uint32_t>(word));
    return age > 0 ? age : 0;
  }
  static std::uint32_t LaterTick(std::uint64_t word, TimePoint now) noexcept {
    return static_cast<std::uint32_t>(word) + static_cast<std::uint32_t>(AgeOf(word, now));
  }

  std::atomic<std::uint64_t> word_{0};  ///< 0: no sample yet
  float per_tick_;                      ///< a tick as a fraction of tau
};

}  // namespace penstock::policy
