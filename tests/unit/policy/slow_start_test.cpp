#include "penstock/policy/slow_start.hpp"

#include <gtest/gtest.h>

#include "penstock/policy/balancer.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kRecovered{100'000'000'000};

TEST(SlowStart, TheShareRisesLinearlyFromATenth) {
  struct Row {
    Duration passed;
    std::uint64_t share;
  };
  const Row rows[] = {{-5s, 102}, {0s, 102},        {3s, 102},   {6s, 204},
                      {15s, 512}, {29'999ms, 1023}, {30s, 1024}, {24h, 1024}};
  for (const Row& row : rows)
    EXPECT_EQ(SlowStartShare(kRecovered, kRecovered + row.passed, 30s), row.share) << ToSeconds(row.passed);
}

TEST(SlowStart, IsOffWithoutAWindowOrARecovery) {
  EXPECT_EQ(SlowStartShare(kRecovered, kRecovered, 0s), kWeightUnit);
  EXPECT_EQ(SlowStartShare(kRecovered, kRecovered, -1s), kWeightUnit);
  EXPECT_EQ(SlowStartShare(TimePoint{0}, TimePoint{1}, 30s), kWeightUnit);
}

TEST(SlowStart, BeginsWhenAnEndpointRecovers) {
  EndpointLoad load;
  EndpointView view;
  view.load = &load;
  view.weight = 3;
  view.slow_start = 30s;
  EXPECT_EQ(EffectiveWeight(view, kRecovered), 3 * kWeightUnit);
  load.SetUsable(true, kRecovered);
  EXPECT_EQ(EffectiveWeight(view, kRecovered), 3 * kWeightUnit) << "it was never away";
  load.SetUsable(false, kRecovered - 60s);
  EXPECT_FALSE(load.usable());
  load.SetUsable(true, kRecovered);
  EXPECT_TRUE(load.usable());
  load.SetUsable(true, kRecovered + 10s);
  EXPECT_EQ(load.recovered_at(), kRecovered) << "still the same recovery";
  EXPECT_EQ(EffectiveWeight(view, kRecovered + 15s), 3 * kWeightUnit / 2);
  view.weight = 0;
  EXPECT_EQ(EffectiveWeight(view, kRecovered + 15s), 0u);
}

}  // namespace
}  // namespace penstock::policy
