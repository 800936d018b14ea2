#pragma once

#include <vector>

#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::telemetry {

/// Owned by one Worker. Slots of series made on first use, because all combinations of their labels would be
/// too many: an open table in front of the registry's mutex. Bounded by the registry's cap on series, and by
/// Clear(), which a worker calls when it swaps its snapshot. Entries of retired series are harmless: label
/// ids are never used again.
class SeriesCache {
 public:
  explicit SeriesCache(MetricRegistry& registry) : registry_(registry), entries_(kEntriesMin) {}

  Slot Find(const SeriesKey& key) {
    for (std::size_t i = key.Hash() & mask(); entries_[i].used; i = (i + 1) & mask()) {
      if (entries_[i].key == key) return entries_[i].slot;
    }
    return Miss(key);
  }
  void Clear();
  std::size_t size() const noexcept { return used_; }

 private:
  struct Entry {
    SeriesKey key;
    Slot slot : 31 = 0;
    Slot used : 1 = 0;
  };
  std::size_t mask() const noexcept { return entries_.size() - 1; }
  Slot Miss(const SeriesKey& key);
  void Insert(const SeriesKey& key, Slot slot);

  static constexpr std::size_t kEntriesMin = 256;          // a power of two
  static constexpr std::size_t kUsedMax = 2 * kSeriesMax;  // entries for the bin come on top of the series
  MetricRegistry& registry_;
  std::vector<Entry> entries_;
  std::size_t used_ = 0;
};

}  // namespace penstock::telemetry
