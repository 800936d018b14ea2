#include "penstock/policy/drain_rate.hpp"

#include <algorithm>

namespace penstock::policy {

void DrainRate::Begin(TimePoint now) noexcept {
  Advance(now);
  const bool counted = std::any_of(counts_.begin(), counts_.end(), [](std::uint32_t count) { return count != 0; });
  if (!counted) since_ = now;
}

void DrainRate::OnDeparture(TimePoint now) noexcept {
  Advance(now);
  if (since_ == TimePoint{}) since_ = now;
  ++counts_[static_cast<std::size_t>(second_) % kSeconds];
}

void DrainRate::Advance(TimePoint now) noexcept {
  const std::int64_t second = std::max(SecondOf(now), second_);  // workers' clocks differ by a turn
  const std::int64_t fresh = std::min<std::int64_t>(second - second_, kSeconds);
  for (std::int64_t i = 0; i < fresh; ++i) counts_[static_cast<std::size_t>(second - i) % kSeconds] = 0;
  second_ = second;
}

double DrainRate::PerSecond(TimePoint now) const noexcept {
  DrainRate at = *this;
  at.Advance(now);
  std::uint64_t sum = 0;
  for (const std::uint32_t count : at.counts_) sum += count;
  const TimePoint oldest{(at.second_ - static_cast<std::int64_t>(kSeconds) + 1) * 1'000'000'000};
  const double seconds = ToSeconds(now - std::max(oldest, since_));
  return static_cast<double>(sum) / std::max(seconds, 1.0);
}

Duration DrainRate::PauseFor(std::size_t waiting, TimePoint now, Duration unknown) const noexcept {
  const double rate = PerSecond(now);
  if (rate <= 0) return std::clamp(unknown, kPauseMin, kPauseMax);
  const double seconds = std::min(static_cast<double>(waiting) / rate, ToSeconds(kPauseMax));
  return std::clamp(Duration(static_cast<std::int64_t>(seconds * 1e9)), kPauseMin, kPauseMax);
}

}  // namespace penstock::policy
