#include "penstock/policy/peak_ewma.hpp"

#include <algorithm>
#include <cmath>

namespace penstock::policy {

void PeakEwma::Observe(TimePoint now, Duration sample) noexcept {
  constexpr double kLeast = 1e-9;  // 0 stands for "no sample"
  const auto seconds = static_cast<float>(std::max(ToSeconds(sample), kLeast));
  std::uint64_t seen = word_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    const float estimate = SecondsOf(seen);
    if (seen == 0 || seconds >= estimate) {
      next = Pack(seconds, seen == 0 ? TickOf(now) : LaterTick(seen, now));
      continue;
    }
    const float kept = std::exp(-per_tick_ * static_cast<float>(AgeOf(seen, now)));
    next = Pack(seconds + (estimate - seconds) * std::min(kept, 1 - kSampleWeight), LaterTick(seen, now));
  } while (!word_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
}

double PeakEwma::Estimate(TimePoint now, bool idle) const noexcept {
  const std::uint64_t word = word_.load(std::memory_order_relaxed);
  if (word == 0) return 0.0;
  const double kept = std::exp(-static_cast<double>(per_tick_) * AgeOf(word, now));
  return SecondsOf(word) * (idle ? kept : std::max(kept, kDecayFloor));
}

}  // namespace penstock::policy
