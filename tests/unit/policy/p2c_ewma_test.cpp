#include <gtest/gtest.h>

#include "support/fleet.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{100'000'000'000};

/// How many of 1000 requests each endpoint gets, if none of them stays.
std::vector<int> Shares(const Fleet& fleet, TimePoint now = kNow) {
  Prng prng(3);
  const auto balancer = FindBalancer("p2c_ewma")->make(fleet.views(), prng);
  std::vector<int> counts(fleet.size());
  for (int i = 0; i < 1000; ++i) ++counts[First(*balancer, {prng, now})];
  return counts;
}

TEST(P2cEwma, OfTwoTheCheaperIsChosen) {
  struct Row {
    const char* name;
    std::uint32_t weights[2];
    Duration latencies[2];  // 0 = no sample
    int in_flight[2];
    int winner;
  };
  const Row rows[] = {
      {"quicker", {1, 1}, {100ms, 101ms}, {0, 0}, 0},
      {"emptier", {1, 1}, {100ms, 100ms}, {4, 3}, 1},
      {"quicker though fuller", {1, 1}, {100ms, 190ms}, {4, 2}, 0},
      {"the request to come counts", {1, 1}, {100ms, 190ms}, {2, 0}, 1},
      {"much slower counts as twice", {1, 1}, {100ms, 9s}, {4, 1}, 1},
      {"and no less than that", {1, 1}, {100ms, 9s}, {2, 1}, 0},
      {"by weight", {1, 3}, {100ms, 100ms}, {1, 4}, 1},
      {"an untested idle one is tried", {1, 1}, {1ms, 0ms}, {0, 0}, 1},
      {"an untested busy one is presumed twice as slow", {1, 1}, {100ms, 0ms}, {4, 2}, 0},
      {"but no worse", {1, 1}, {100ms, 0ms}, {4, 1}, 1},
      {"an idle one before a busy one, both untested", {1, 1}, {0ms, 0ms}, {1, 0}, 1},
      {"two untested ones by load", {1, 1}, {0ms, 0ms}, {2, 1}, 1},
  };
  for (const Row& row : rows) {
    Fleet fleet({row.weights[0], row.weights[1]});
    for (std::uint32_t i = 0; i < 2; ++i) {
      if (row.latencies[i] != 0ms) fleet.load(i).latency().Observe(kNow, row.latencies[i]);
      fleet.Hold(i, row.in_flight[i]);
    }
    EXPECT_EQ(Shares(fleet)[static_cast<std::size_t>(row.winner)], 1000) << row.name;
  }
}

TEST(P2cEwma, TheWorstOfAFleetGetsNothingAndTheOthersShare) {
  Fleet fleet({1, 1, 1, 1, 1});
  for (std::uint32_t i = 0; i < 5; ++i) fleet.load(i).latency().Observe(kNow, i == 3 ? 900ms : 100ms);
  const std::vector<int> shares = Shares(fleet);
  EXPECT_EQ(shares[3], 0);
  for (const std::uint32_t i : {0, 1, 2, 4}) EXPECT_NEAR(shares[i], 250, 60) << i;
}

TEST(P2cEwma, TheWorstIsTriedAgainWhenItsPeakIsOld) {
  Fleet fleet({1, 1, 1, 1, 1});
  for (std::uint32_t i = 0; i < 5; ++i) fleet.load(i).latency().Observe(kNow, i == 3 ? 900ms : 100ms);
  const TimePoint later = kNow + 60s;
  for (const std::uint32_t i : {0, 1, 2, 4}) fleet.load(i).latency().Observe(later, 100ms);
  EXPECT_GT(Shares(fleet, later)[3], 200);
  fleet.Hold(3);
  fleet.load(3).latency().Observe(later, 900ms);
  EXPECT_EQ(Shares(fleet, later)[3], 0) << "and is as bad as before";
}

}  // namespace
}  // namespace penstock::policy
