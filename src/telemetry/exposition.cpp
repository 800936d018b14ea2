#include "penstock/telemetry/exposition.hpp"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <limits>
#include <vector>

namespace penstock::telemetry {

namespace {

prometheus::MetricType TypeOf(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter: return prometheus::MetricType::Counter;
    case MetricKind::kGauge: return prometheus::MetricType::Gauge;
    case MetricKind::kHistogram: return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

void SetScalar(prometheus::ClientMetric& metric, MetricKind kind, double value) {
  if (kind == MetricKind::kCounter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
}

/// The count is the sum of the buckets read, never a slot of its own: a scrape in the middle of an Observe()
/// must not show a count that its +Inf bucket contradicts.
void SetHistogram(prometheus::ClientMetric& metric, std::span<const std::int64_t> bounds_ns,
                  const std::uint64_t* slots) {
  prometheus::ClientMetric::Histogram& histogram = metric.histogram;
  histogram.bucket.reserve(bounds_ns.size() + 1);
  std::uint64_t cumulative = 0;
  for (std::size_t i = 0; i <= bounds_ns.size(); ++i) {
    cumulative += slots[i];
    const double bound =
        i < bounds_ns.size() ? static_cast<double>(bounds_ns[i]) / 1e9 : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({cumulative, bound});
  }
  histogram.sample_count = cumulative;
  histogram.sample_sum = static_cast<double>(slots[bounds_ns.size() + 1]) / 1e9;
}

/// Immutable. The slabs as prometheus-cpp wants to see them.
class SlabCollectable final : public prometheus::Collectable {
 public:
  explicit SlabCollectable(const MetricRegistry& registry) : registry_(registry) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const std::span<const MetricFamily> rows = registry_.families();
    std::vector<prometheus::MetricFamily> families(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      families[i].name = rows[i].name;
      families[i].help = rows[i].help;
      families[i].type = TypeOf(rows[i].kind);
    }
    const MetricsReading reading = registry_.Read();
    for (const auto& [key, slot] : reading.series) {
      const MetricFamily& row = rows[key.family];
      prometheus::ClientMetric& metric = families[key.family].metric.emplace_back();
      for (std::size_t i = 0; i < kLabelsMax && key.labels[i] != 0; ++i) {
        metric.label.push_back({std::string(row.labels[i]), reading.TextOf(key.labels[i])});
      }
      const std::uint64_t value = reading.sums[slot];
      switch (row.kind) {
        case MetricKind::kCounter: SetScalar(metric, row.kind, static_cast<double>(value)); break;
        case MetricKind::kGauge:
          SetScalar(metric, row.kind,
                    static_cast<double>(static_cast<std::int64_t>(value)) / static_cast<double>(row.parts));
          break;
        case MetricKind::kHistogram: SetHistogram(metric, row.bounds_ns, &reading.sums[slot]); break;
      }
    }
    registry_.Pull([&](FamilyId family, double value) {
      SetScalar(families[family].metric.emplace_back(), rows[family].kind, value);
    });
    std::erase_if(families, [](const prometheus::MetricFamily& family) { return family.metric.empty(); });
    return families;
  }

 private:
  const MetricRegistry& registry_;
};

}  // namespace

std::string RenderMetrics(const MetricRegistry& registry) {
  const prometheus::Serializer& serializer = prometheus::TextSerializer();
  return serializer.Serialize(SlabCollectable(registry).Collect());
}

}  // namespace penstock::telemetry
