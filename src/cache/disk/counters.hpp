#pragma once

#include <atomic>
#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::cache::disk {

/// Shared: relaxed atomics. DiskStats as the threads count it.
struct Counters {
  using Count = std::atomic<std::uint64_t>;

  Count entries{0}, bytes{0}, hits{0}, misses{0}, stored{0}, evicted{0}, expired{0}, corrupt{0}, read_errors{0},
      write_errors{0}, dropped_queue{0}, dropped_off{0}, dropped_size{0}, reads_refused{0}, begun_anew{0};
  std::atomic<std::int64_t> writes_off_until_ns{INT64_MIN};

  bool writes_on(TimePoint now) const noexcept { return now.ns >= writes_off_until_ns.load(std::memory_order_relaxed); }
};

inline void Increment(Counters::Count& count, std::uint64_t by = 1) noexcept {
  count.fetch_add(by, std::memory_order_relaxed);
}

}  // namespace penstock::cache::disk
