#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::telemetry {

/// A place in every slab. The same series has the same slot in all of them.
using Slot = std::uint32_t;

/// Lines of the exposition, histogram buckets included (FAULTS A-12); series beyond are dropped and counted.
inline constexpr std::size_t kSeriesMax = 10'000;
/// A series needs no more slots than lines. The first two are the bin: what had no room is written there,
/// unread, so that no writer has to ask whether its handle is good.
inline constexpr Slot kBinSlots = 2;
inline constexpr std::size_t kSlabSlots = kSeriesMax + 240;

/// Shared: one writing thread, any readers. One thread's share of every metric, 80 KiB and never moved or
/// grown. The writer loads, adds and stores relaxed: a plain add in machine code, no lock prefix, yet defined
/// for the reader, who sums the slabs at a scrape and may see one a few adds late.
class alignas(64) Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  void Add(Slot slot, std::uint64_t n) noexcept {
    std::atomic<std::uint64_t>& value = values_[slot];
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Set(Slot slot, std::uint64_t n) noexcept { values_[slot].store(n, std::memory_order_relaxed); }
  std::uint64_t Read(Slot slot) const noexcept { return values_[slot].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<std::uint64_t>, kSlabSlots> values_{};
};

/// Immutable. Handles: resolved when something is built, used without a look-up. A default one writes to the
/// bin.
struct Counter {
  Slot slot = 0;
  void Add(Slab& slab, std::uint64_t n = 1) const noexcept { slab.Add(slot, n); }
};

/// Immutable. The sum over all slabs: a thread may count up what another counts down. Set() is a thread's whole
/// share, so a thread either sets or counts.
struct Gauge {
  Slot slot = 0;
  void Add(Slab& slab, std::int64_t n = 1) const noexcept { slab.Add(slot, static_cast<std::uint64_t>(n)); }
  void Sub(Slab& slab, std::int64_t n = 1) const noexcept { slab.Add(slot, -static_cast<std::uint64_t>(n)); }
  void Set(Slab& slab, std::int64_t n) const noexcept { slab.Set(slot, static_cast<std::uint64_t>(n)); }
};

/// Immutable. A histogram of durations. Slots: one per bound, one for +Inf, one for the sum in nanoseconds
/// (584 years).
struct Histogram {
  Slot slot = 0;
  std::uint32_t bounds = 0;
  const std::int64_t* bounds_ns = nullptr;  ///< ascending, inclusive

  void Observe(Slab& slab, Duration value) const noexcept {
    const std::int64_t ns = std::max<std::int64_t>(value.count(), 0);
    // The first bound not below ns. Halving without a branch: what users feel as latency does not predict
    // well.
    const std::int64_t* first = bounds_ns;
    std::uint32_t left = bounds;
    while (left != 0) {
      const std::uint32_t half = (left + 1) / 2;
      first += first[half - 1] < ns ? half : 0;
      left -= half;
    }
    slab.Add(slot + static_cast<Slot>(first - bounds_ns), 1);
    slab.Add(slot + bounds + 1, static_cast<std::uint64_t>(ns));
  }
};

}  // namespace penstock::telemetry
