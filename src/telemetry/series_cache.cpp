#include "penstock/telemetry/series_cache.hpp"

namespace penstock::telemetry {

Slot SeriesCache::Miss(const SeriesKey& key) {
  const Slot slot = registry_.SlotOf(key);
  // Beyond its bound the table starts over: what is still in use comes back by itself.
  if (used_ >= kUsedMax) Clear();
  if ((used_ + 1) * 2 > entries_.size()) {
    std::vector<Entry> old(entries_.size() * 2);
    old.swap(entries_);
    used_ = 0;
    for (const Entry& entry : old) {
      if (entry.used) Insert(entry.key, entry.slot);
    }
  }
  Insert(key, slot);
  return slot;
}

void SeriesCache::Insert(const SeriesKey& key, Slot slot) {
  std::size_t i = key.Hash() & mask();
  while (entries_[i].used) i = (i + 1) & mask();
  entries_[i].key = key;
  entries_[i].slot = slot & 0x7fffffff;
  entries_[i].used = 1;
  ++used_;
}

void SeriesCache::Clear() {
  entries_.assign(kEntriesMin, Entry{});
  used_ = 0;
}

}  // namespace penstock::telemetry
