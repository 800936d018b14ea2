#include "penstock/policy/windowed_quantile.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace penstock::policy {

std::size_t WindowedQuantile::BucketOf(Duration sample) noexcept {
  constexpr std::int64_t kLow = std::int64_t{1} << kLowBits;
  constexpr std::int64_t kHigh = std::int64_t{1} << kHighBits;
  const auto ns = static_cast<std::uint64_t>(std::clamp<std::int64_t>(sample.count(), kLow, kHigh));
  const auto octave = static_cast<unsigned>(std::bit_width(ns)) - 1;
  const std::uint64_t part = (ns >> (octave - kSubBits)) & ((1U << kSubBits) - 1);
  return ((octave - kLowBits) << kSubBits) + part;
}

Duration WindowedQuantile::UpperEdge(std::size_t bucket) noexcept {
  const std::uint64_t octave = kLowBits + (bucket >> kSubBits);
  const std::uint64_t part = bucket & ((1U << kSubBits) - 1);
  return Duration(static_cast<std::int64_t>(((std::uint64_t{1} << kSubBits) + part + 1) << (octave - kSubBits)));
}

void WindowedQuantile::Observe(TimePoint now, Duration sample) noexcept {
  const std::int64_t number = NumberOf(now);
  Window& window = windows_[static_cast<std::size_t>(number) % windows_.size()];
  std::int64_t seen = window.number.load(std::memory_order_relaxed);
  if (seen > number) return;  // a worker whose clock is a whole round behind
  if (seen < number && window.number.compare_exchange_strong(seen, number, std::memory_order_relaxed)) {
    for (std::atomic<std::uint32_t>& count : window.counts) count.store(0, std::memory_order_relaxed);
  }
  window.counts[BucketOf(sample)].fetch_add(1, std::memory_order_relaxed);
}

std::int64_t WindowedQuantile::Compute(TimePoint now) const noexcept {
  const std::int64_t number = NumberOf(now);
  std::array<std::uint32_t, kBuckets> counts{};
  std::uint64_t total = 0;
  for (const Window& window : windows_) {
    if (window.number.load(std::memory_order_relaxed) < number - 1) continue;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      const std::uint32_t count = window.counts[i].load(std::memory_order_relaxed);
      counts[i] += count;
      total += count;
    }
  }
  if (total < kSamplesMin) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(quantile_ * static_cast<double>(total)));
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    below += counts[i];
    if (below >= wanted) return UpperEdge(i).count();
  }
  return UpperEdge(kBuckets - 1).count();
}

std::optional<Duration> WindowedQuantile::Estimate(TimePoint now) noexcept {
  std::int64_t computed = computed_at_.load(std::memory_order_relaxed);
  const bool stale = computed == INT64_MIN || now.ns - computed >= kFresh.count();
  // One computes, the others take what was there.
  if (stale && computed_at_.compare_exchange_strong(computed, now.ns, std::memory_order_relaxed))
    estimate_ns_.store(Compute(now), std::memory_order_relaxed);
  const std::int64_t estimate = estimate_ns_.load(std::memory_order_relaxed);
  if (estimate == 0) return std::nullopt;
  return Duration(estimate);
}

}  // namespace penstock::policy
