#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "penstock/telemetry/metric_slab.hpp"

namespace penstock::telemetry {

enum class MetricKind : std::uint8_t { kCounter, kGauge, kHistogram };

inline constexpr std::size_t kLabelsMax = 4;

/// Immutable. A row of a module's table of metrics. Everything is a literal.
struct MetricFamily {
  std::string_view name;
  std::string_view help;
  MetricKind kind = MetricKind::kCounter;
  std::array<std::string_view, kLabelsMax> labels = {};  ///< names; empty behind the last
  std::span<const std::int64_t> bounds_ns = {};          ///< of a histogram
  std::int64_t parts = 1;                                ///< of a gauge: it is kept in so many parts of its unit
};

/// A row number in that table.
using FamilyId = std::uint32_t;
/// A label value. 0 = no label. Never used for another value, even after its release.
using LabelId = std::uint32_t;

struct SeriesKey {
  FamilyId family = 0;
  std::array<LabelId, kLabelsMax> labels = {};

  friend bool operator==(const SeriesKey&, const SeriesKey&) = default;
  std::size_t Hash() const noexcept {
    const auto pair = [](std::uint64_t a, std::uint64_t b) { return a << 32 | b; };
    std::uint64_t h = pair(labels[0], labels[1]) * 0x9e3779b97f4a7c15;
    h = (h ^ pair(labels[2], labels[3])) * 0xbf58476d1ce4e5b9;
    h = (h ^ h >> 32 ^ family) * 0x94d049bb133111eb;
    return h ^ h >> 29;
  }
};

class MetricRegistry;

/// Shared: by moving only; one holder at a time, a snapshot or an endpoint. Keeps a label value, and with it every
/// series that carries it. When the last lease of a value ends, its series are retired: that must be after the last
/// writer let go of the handles, which holds when lease and handles lie in one object.
class LabelLease {
 public:
  LabelLease() = default;
  LabelLease(LabelLease&& other) noexcept
      : registry_(std::exchange(other.registry_, nullptr)), id_(std::exchange(other.id_, 0)) {}
  LabelLease& operator=(LabelLease&& other) noexcept {
    std::swap(registry_, other.registry_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~LabelLease();
  LabelId id() const noexcept { return id_; }

 private:
  friend class MetricRegistry;
  LabelLease(MetricRegistry* registry, LabelId id) noexcept : registry_(registry), id_(id) {}
  MetricRegistry* registry_ = nullptr;
  LabelId id_ = 0;
};

/// What one scrape saw: plain values, taken in one short critical section.
struct MetricsReading {
  struct Series {
    SeriesKey key;
    Slot slot;
  };
  std::vector<Series> series;                           ///< by family, then by slot
  std::vector<std::uint64_t> sums;                      ///< by slot
  std::vector<std::pair<LabelId, std::string>> labels;  ///< by id

  const std::string& TextOf(LabelId id) const noexcept;  ///< of an id in `series`
};

/// Shared: a mutex around registration, release and the copying of a scrape, never around counting.
/// Registration waits for a copy under way: some 50 us at a usual 500 series, 1 ms at the cap. Outlives
/// slabs' writers and leases.
class MetricRegistry {
 public:
  /// `families` is a static table.
  explicit MetricRegistry(std::span<const MetricFamily> families);
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;
  ~MetricRegistry();

  /// A slab for the calling thread, kept until the registry ends: its counts must not vanish with a thread.
  Slab& OpenSlab();

  /// `value` is valid UTF-8 from the configuration or a literal, never a peer's bytes.
  LabelLease Hold(std::string_view value);
  /// The same, for ever: enum values.
  LabelId Pin(std::string_view value);

  /// The slot of a series, made when it is new; the bin (0) when there is no room. The labels are held by the
  /// caller.
  Slot SlotOf(const SeriesKey& key);
  Counter CounterOf(const SeriesKey& key) { return {SlotOf(key)}; }
  Gauge GaugeOf(const SeriesKey& key) { return {SlotOf(key)}; }
  Histogram HistogramOf(const SeriesKey& key) { return HistogramAt(key.family, SlotOf(key)); }
  Histogram HistogramAt(FamilyId family, Slot slot) const noexcept {
    if (slot == 0) return {};
    const std::span<const std::int64_t> bounds = families_[family].bounds_ns;
    return {slot, static_cast<std::uint32_t>(bounds.size()), bounds.data()};
  }

  /// A value without labels that somebody else keeps, asked for at each scrape, on the scraping thread. Call
  /// before the first scrape.
  using PullSink = std::function<void(FamilyId, double)>;
  void AddSource(std::function<void(const PullSink&)> source) { sources_.push_back(std::move(source)); }

  std::span<const MetricFamily> families() const noexcept { return families_; }
  MetricsReading Read() const;
  void Pull(const PullSink& sink) const;
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  friend class LabelLease;
  struct KeyHash {
    std::size_t operator()(const SeriesKey& key) const noexcept { return key.Hash(); }
  };
  struct Label {
    std::string text;
    std::uint32_t leases = 0;
  };
  LabelId Intern(std::string_view value);
  void Release(LabelId id) noexcept;
  std::uint32_t SlotsOf(FamilyId family) const noexcept;
  std::uint32_t LinesOf(FamilyId family) const noexcept;
  Slot Allocate(std::uint32_t slots);

  const std::span<const MetricFamily> families_;
  std::vector<std::function<void(const PullSink&)>> sources_;
  std::atomic<std::uint64_t> dropped_{0};

  mutable std::mutex mutex_;  // everything below
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::unordered_map<SeriesKey, Slot, KeyHash> series_;
  std::unordered_map<LabelId, Label> labels_;
  std::unordered_map<std::string_view, LabelId> label_ids_;    // views into labels_, whose nodes do not move
  std::unordered_map<std::uint32_t, std::vector<Slot>> free_;  // retired places by size
  Slot next_slot_ = kBinSlots;
  LabelId next_label_ = 1;
  std::size_t lines_ = 0;
};

}  // namespace penstock::telemetry
