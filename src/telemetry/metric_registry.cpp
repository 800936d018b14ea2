#include "penstock/telemetry/metric_registry.hpp"

#include <algorithm>

#include "penstock/base/assert.hpp"

namespace penstock::telemetry {

LabelLease::~LabelLease() {
  if (registry_ != nullptr) registry_->Release(id_);
}

MetricRegistry::MetricRegistry(std::span<const MetricFamily> families) : families_(families) {}
MetricRegistry::~MetricRegistry() = default;

Slab& MetricRegistry::OpenSlab() {
  const std::lock_guard lock(mutex_);
  return *slabs_.emplace_back(std::make_unique<Slab>());
}

LabelId MetricRegistry::Intern(std::string_view value) {
  const auto found = label_ids_.find(value);
  if (found != label_ids_.end()) {
    ++labels_[found->second].leases;
    return found->second;
  }
  const LabelId id = next_label_++;
  Label& label = labels_[id];
  label = {std::string(value), 1};
  label_ids_[label.text] = id;
  return id;
}

LabelLease MetricRegistry::Hold(std::string_view value) {
  const std::lock_guard lock(mutex_);
  return LabelLease(this, Intern(value));
}

LabelId MetricRegistry::Pin(std::string_view value) {
  const std::lock_guard lock(mutex_);
  return Intern(value);  // a lease that nobody gives back
}

void MetricRegistry::Release(LabelId id) noexcept {
  const std::lock_guard lock(mutex_);
  const auto label = labels_.find(id);
  PENSTOCK_ASSERT(label != labels_.end());
  if (--label->second.leases != 0) return;
  std::erase_if(series_, [&](const auto& entry) {
    const auto& [key, slot] = entry;
    if (std::find(key.labels.begin(), key.labels.end(), id) == key.labels.end()) return false;
    const std::uint32_t slots = SlotsOf(key.family);
    // No writer is left for these slots, so the single-writer rule is kept although this may be another
    // thread.
    for (const auto& slab : slabs_) {
      for (Slot i = 0; i < slots; ++i) slab->Set(slot + i, 0);
    }
    free_[slots].push_back(slot);
    lines_ -= LinesOf(key.family);
    return true;
  });
  label_ids_.erase(label->second.text);
  labels_.erase(label);
}

std::uint32_t MetricRegistry::SlotsOf(FamilyId family) const noexcept {
  const MetricFamily& row = families_[family];
  return row.kind == MetricKind::kHistogram ? static_cast<std::uint32_t>(row.bounds_ns.size()) + 2 : 1;
}

std::uint32_t MetricRegistry::LinesOf(FamilyId family) const noexcept {
  return families_[family].kind == MetricKind::kHistogram ? SlotsOf(family) + 1 : 1;
}

Slot MetricRegistry::Allocate(std::uint32_t slots) {
  std::vector<Slot>& free = free_[slots];
  if (!free.empty()) {
    const Slot slot = free.back();
    free.pop_back();
    return slot;
  }
  if (next_slot_ + slots > kSlabSlots) return 0;
  return std::exchange(next_slot_, next_slot_ + slots);
}

Slot MetricRegistry::SlotOf(const SeriesKey& key) {
  const std::lock_guard lock(mutex_);
  PENSTOCK_ASSERT(key.family < families_.size());
  for (std::size_t i = 0; i < kLabelsMax; ++i) {
    PENSTOCK_ASSERT((key.labels[i] != 0) == !families_[key.family].labels[i].empty());
    PENSTOCK_ASSERT(key.labels[i] == 0 || labels_.contains(key.labels[i]));
  }
  const auto found = series_.find(key);
  if (found != series_.end()) return found->second;
  const Slot slot = lines_ + LinesOf(key.family) > kSeriesMax ? 0 : Allocate(SlotsOf(key.family));
  if (slot == 0) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return 0;
  }
  lines_ += LinesOf(key.family);
  series_.emplace(key, slot);
  return slot;
}

MetricsReading MetricRegistry::Read() const {
  MetricsReading reading;
  reading.sums.resize(kSlabSlots);
  reading.series.reserve(kSeriesMax);
  {
    const std::lock_guard lock(mutex_);
    reading.labels.reserve(labels_.size());
    for (const auto& [key, slot] : series_) reading.series.push_back({key, slot});
    for (const auto& [id, label] : labels_) reading.labels.emplace_back(id, label.text);
    for (const auto& slab : slabs_) {
      for (Slot slot = kBinSlots; slot < next_slot_; ++slot) reading.sums[slot] += slab->Read(slot);
    }
  }
  std::sort(reading.series.begin(), reading.series.end(), [](const auto& a, const auto& b) {
    return std::pair(a.key.family, a.slot) < std::pair(b.key.family, b.slot);
  });
  std::sort(reading.labels.begin(), reading.labels.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return reading;
}

const std::string& MetricsReading::TextOf(LabelId id) const noexcept {
  const auto found = std::lower_bound(labels.begin(), labels.end(), id,
                                      [](const auto& label, LabelId wanted) { return label.first < wanted; });
  PENSTOCK_ASSERT(found != labels.end() && found->first == id);
  return found->second;
}

void MetricRegistry::Pull(const PullSink& sink) const {
  for (const auto& source : sources_) source(sink);
}

}  // namespace penstock::telemetry
