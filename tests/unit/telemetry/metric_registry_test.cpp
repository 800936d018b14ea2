#include "penstock/telemetry/metric_registry.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "penstock/telemetry/exposition.hpp"
#include "penstock/telemetry/series_cache.hpp"

namespace penstock::telemetry {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kBounds[] = {1'000'000, 5'000'000, 1'000'000'000};
constexpr MetricFamily kFamilies[] = {
    {"test_requests_total", "Requests.", MetricKind::kCounter, {"model", "status"}},
    {"test_open", "Open.", MetricKind::kGauge},
    {"test_wait_seconds", "Waits.", MetricKind::kHistogram, {"model"}, kBounds},
    {"test_pulled_total", "Pulled.", MetricKind::kCounter},
};
constexpr FamilyId kRequests = 0, kOpen = 1, kWait = 2, kPulled = 3;

class Registry : public testing::Test {
 protected:
  std::uint64_t Sum(Slot slot) const { return registry_.Read().sums[slot]; }
  MetricRegistry registry_{kFamilies};
};

TEST_F(Registry, SlabsAreSummed) {
  Slab& first = registry_.OpenSlab();
  Slab& second = registry_.OpenSlab();
  const Gauge open = registry_.GaugeOf({kOpen});
  open.Add(first, 5);
  open.Sub(second, 3);
  EXPECT_EQ(static_cast<std::int64_t>(Sum(open.slot)), 2);
  open.Sub(second, 4);
  EXPECT_EQ(static_cast<std::int64_t>(Sum(open.slot)), -2);
  EXPECT_NE(RenderMetrics(registry_).find("test_open -2\n"), std::string::npos);
}

TEST_F(Registry, TheSameLabelsAreTheSameSeries) {
  const LabelLease model = registry_.Hold("llama");
  const LabelLease again = registry_.Hold("llama");
  EXPECT_EQ(model.id(), again.id());
  const LabelId ok = registry_.Pin("200");
  EXPECT_EQ(registry_.SlotOf({kRequests, {model.id(), ok}}), registry_.SlotOf({kRequests, {again.id(), ok}}));
  EXPECT_NE(registry_.SlotOf({kRequests, {model.id(), ok}}), registry_.SlotOf({kRequests, {ok, model.id()}}));
}

TEST_F(Registry, HistogramBoundsAreInclusive) {
  Slab& slab = registry_.OpenSlab();
  const LabelLease model = registry_.Hold("m");
  const Histogram wait = registry_.HistogramOf({kWait, {model.id()}});
  const struct {
    Duration value;
    std::size_t bucket;
  } rows[] = {{-1s, 0}, {0ns, 0}, {1ms, 0}, {1ms + 1ns, 1}, {5ms, 1}, {6ms, 2}, {1s, 2}, {1s + 1ns, 3}, {1h, 3}};
  std::uint64_t expected[4] = {};
  for (const auto& row : rows) {
    wait.Observe(slab, row.value);
    ++expected[row.bucket];
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_EQ(slab.Read(wait.slot + static_cast<Slot>(i)), expected[i]) << row.value.count();
  }
}

TEST(Histogram, EveryLengthOfBoundsIsSearchedRight) {
  std::int64_t bounds[20];
  for (int i = 0; i < 20; ++i) bounds[i] = 10 * (i + 1);
  const auto slab = std::make_unique<Slab>();
  for (std::uint32_t count = 0; count <= 20; ++count) {
    for (std::int64_t value = 0; value <= 215; ++value) {
      for (Slot i = 0; i <= count; ++i) slab->Set(kBinSlots + i, 0);
      Histogram{kBinSlots, count, bounds}.Observe(*slab, Duration(value));
      std::uint32_t expected = 0;
      while (expected < count && value > bounds[expected]) ++expected;
      ASSERT_EQ(slab->Read(kBinSlots + expected), 1u) << count << ' ' << value;
    }
  }
}

TEST_F(Registry, RendersTheTextFormat) {
  Slab& slab = registry_.OpenSlab();
  const LabelLease model = registry_.Hold("a \"b\" \\ \n c");
  registry_.CounterOf({kRequests, {model.id(), registry_.Pin("5xx")}}).Add(slab, 3);
  const Histogram wait = registry_.HistogramOf({kWait, {model.id()}});
  wait.Observe(slab, 1500us);
  wait.Observe(slab, 2s);
  registry_.AddSource([](const MetricRegistry::PullSink& sink) { sink(kPulled, 7); });
  EXPECT_EQ(RenderMetrics(registry_),
            "# HELP test_requests_total Requests.\n"
            "# TYPE test_requests_total counter\n"
            "test_requests_total{model=\"a \\\"b\\\" \\\\ \\n c\",status=\"5xx\"} 3\n"
            "# HELP test_wait_seconds Waits.\n"
            "# TYPE test_wait_seconds histogram\n"
            "test_wait_seconds_count{model=\"a \\\"b\\\" \\\\ \\n c\"} 2\n"
            "test_wait_seconds_sum{model=\"a \\\"b\\\" \\\\ \\n c\"} 2.0015\n"
            "test_wait_seconds_bucket{model=\"a \\\"b\\\" \\\\ \\n c\",le=\"0.001\"} 0\n"
            "test_wait_seconds_bucket{model=\"a \\\"b\\\" \\\\ \\n c\",le=\"0.005\"} 1\n"
            "test_wait_seconds_bucket{model=\"a \\\"b\\\" \\\\ \\n c\",le=\"1\"} 1\n"
            "test_wait_seconds_bucket{model=\"a \\\"b\\\" \\\\ \\n c\",le=\"+Inf\"} 2\n"
            "# HELP test_pulled_total Pulled.\n"
            "# TYPE test_pulled_total counter\n"
            "test_pulled_total 7\n");
}

TEST_F(Registry, A_12_TheCapHolds) {
  Slab& slab = registry_.OpenSlab();
  const LabelId status = registry_.Pin("200");
  std::vector<LabelLease> models;
  for (int i = 0; i < 12'000; ++i) {
    models.push_back(registry_.Hold("model-" + std::to_string(i)));
    registry_.CounterOf({kRequests, {models.back().id(), status}}).Add(slab);
  }
  EXPECT_EQ(registry_.Read().series.size(), kSeriesMax);
  EXPECT_EQ(registry_.dropped(), 2'000u);
  const Histogram refused = registry_.HistogramOf({kWait, {models.back().id()}});
  refused.Observe(slab, 1s);
  EXPECT_EQ(registry_.dropped(), 2'001u);
  EXPECT_EQ(registry_.Read().series.size(), kSeriesMax);
  EXPECT_LT(RenderMetrics(registry_).size(), 1024u * 1024u);
}

// A counter must not fall back at a reload that keeps its endpoint.
TEST_F(Registry, ASeriesLivesAsLongAsAnyHolderOfItsLabels) {
  Slab& slab = registry_.OpenSlab();
  std::optional<LabelLease> old_snapshot = registry_.Hold("m");
  const LabelId ok = registry_.Pin("200");
  const Counter counter = registry_.CounterOf({kRequests, {old_snapshot->id(), ok}});
  counter.Add(slab, 41);
  std::optional<LabelLease> new_snapshot = registry_.Hold("m");
  old_snapshot.reset();
  const Counter same = registry_.CounterOf({kRequests, {new_snapshot->id(), ok}});
  EXPECT_EQ(same.slot, counter.slot);
  same.Add(slab);
  EXPECT_EQ(Sum(same.slot), 42u);
  new_snapshot.reset();
  EXPECT_TRUE(registry_.Read().series.empty());
}

TEST_F(Registry, RetiredPlacesAreUsedAgainFromZero) {
  Slab& first = registry_.OpenSlab();
  Slab& second = registry_.OpenSlab();
  std::optional<LabelLease> model = registry_.Hold("old");
  const Histogram old_wait = registry_.HistogramOf({kWait, {model->id()}});
  old_wait.Observe(first, 1ms);
  old_wait.Observe(second, 2s);
  model.reset();
  model = registry_.Hold("new");
  const Histogram new_wait = registry_.HistogramOf({kWait, {model->id()}});
  EXPECT_EQ(new_wait.slot, old_wait.slot);
  for (Slot i = 0; i < 5; ++i) EXPECT_EQ(Sum(new_wait.slot + i), 0u) << i;
}

TEST_F(Registry, EndlessReloadsNeedNoMoreRoom) {
  const LabelId status = registry_.Pin("200");
  for (int i = 0; i < 30'000; ++i) {
    const LabelLease model = registry_.Hold("model-" + std::to_string(i));
    ASSERT_NE(registry_.SlotOf({kRequests, {model.id(), status}}), 0u) << i;
    ASSERT_NE(registry_.SlotOf({kWait, {model.id()}}), 0u) << i;
  }
  EXPECT_EQ(registry_.dropped(), 0u);
}

TEST_F(Registry, LabelIdsAreNotUsedAgain) {
  LabelId before = 0;
  for (int i = 0; i < 10; ++i) {
    const LabelLease lease = registry_.Hold("x");
    EXPECT_GT(lease.id(), before);
    before = lease.id();
  }
}

TEST_F(Registry, MovingALeaseKeepsOneHold) {
  LabelLease lease = registry_.Hold("x");
  const LabelId id = lease.id();
  LabelLease other = std::move(lease);
  EXPECT_EQ(other.id(), id);
  other = LabelLease();
  EXPECT_GT(registry_.Hold("x").id(), id) << "the first hold has ended";
}

TEST_F(Registry, TheCacheAnswersAsTheRegistryDoes) {
  SeriesCache cache(registry_);
  const LabelId status = registry_.Pin("200");
  std::vector<LabelLease> models;
  for (int i = 0; i < 3'000; ++i) models.push_back(registry_.Hold(std::to_string(i)));
  for (int round = 0; round < 2; ++round) {
    for (const LabelLease& model : models) {
      const SeriesKey key{kRequests, {model.id(), status}};
      ASSERT_EQ(cache.Find(key), registry_.SlotOf(key));
    }
    EXPECT_EQ(cache.size(), 3'000u);
  }
  cache.Clear();
  EXPECT_EQ(cache.size(), 0u);
  const SeriesKey key{kRequests, {models[7].id(), status}};
  EXPECT_EQ(cache.Find(key), registry_.SlotOf(key));
}

TEST_F(Registry, A_12_TheCacheIsBoundedBeyondTheCap) {
  SeriesCache cache(registry_);
  const LabelId status = registry_.Pin("200");
  for (std::size_t i = 0; i < 3 * kSeriesMax; ++i) {
    const LabelLease model = registry_.Hold(std::to_string(i));
    cache.Find({kRequests, {model.id(), status}});
    ASSERT_LE(cache.size(), 2 * kSeriesMax);
  }
}

// A writer, a scraper and a control thread at once: for TSan, and the last sum is exact.
TEST_F(Registry, A_13_CountingScrapingAndReloadingDoNotDisturbEachOther) {
  constexpr std::uint64_t kCounts = 200'000;
  std::atomic<bool> done{false};
  const LabelLease model = registry_.Hold("m");
  const Counter counter = registry_.CounterOf({kRequests, {model.id(), registry_.Pin("200")}});
  const Histogram wait = registry_.HistogramOf({kWait, {model.id()}});
  const auto write = [&] {
    Slab& slab = registry_.OpenSlab();
    for (std::uint64_t i = 0; i < kCounts; ++i) {
      counter.Add(slab);
      wait.Observe(slab, Duration(static_cast<std::int64_t>(i * 1000)));
    }
  };
  std::thread writers[] = {std::thread(write), std::thread(write)};
  std::thread control([&] {
    for (int i = 0; !done.load(); ++i) {
      const LabelLease lease = registry_.Hold("model-" + std::to_string(i % 100));
      registry_.SlotOf({kWait, {lease.id()}});
    }
  });
  std::uint64_t last = 0;
  for (int i = 0; i < 50; ++i) {
    const std::uint64_t now = Sum(counter.slot);
    EXPECT_GE(now, last) << "a counter never falls";
    last = now;
    RenderMetrics(registry_);
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  control.join();
  EXPECT_EQ(Sum(counter.slot), 2 * kCounts);
}

}  // namespace
}  // namespace penstock::telemetry
