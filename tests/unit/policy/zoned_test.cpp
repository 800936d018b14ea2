#include <gtest/gtest.h>

#include <algorithm>

#include "support/fleet.hpp"

namespace penstock::policy {
namespace {

/// How many of 10,000 requests each rank gets, if the caller refuses whom nobody can use.
std::vector<int> ByRank(const Fleet& fleet, const char* policy, bool hashed = false) {
  Prng prng(11);
  const auto balancer = MakeZoned(*FindBalancer(policy), fleet.views(), prng);
  std::vector<int> counts(4);
  for (int i = 0; i < 10'000; ++i) {
    PickContext context{prng};
    if (hashed) context.hash = prng.Next();
    Candidates candidates(*balancer, context);
    std::optional<std::uint32_t> pick = candidates.Next();
    while (pick && !fleet.views()[*pick].load->usable()) pick = candidates.Next();
    if (pick) ++counts[fleet.views()[*pick].zone_rank];
  }
  return counts;
}

/// `per_rank` endpoints of each rank, of which so many are usable.
void Fill(Fleet& fleet, std::uint32_t per_rank, const std::vector<std::uint32_t>& usable) {
  for (std::uint32_t i = 0; i < fleet.size(); ++i) {
    fleet.view(i).zone_rank = i / per_rank;
    fleet.load(i).SetUsable(i % per_rank < usable[i / per_rank], TimePoint{1});
  }
}

// Envoy's table of priority levels, in tenths of a rank (docs: load balancing, priority levels).
TEST(Zoned, ARankTakesWhatIsLeftOfIt) {
  struct Row {
    std::vector<std::uint32_t> usable;
    std::vector<int> expected;
  };
  const Row rows[] = {
      {{10, 10}, {10'000, 0}},  {{8, 10}, {10'000, 0}}, {{7, 10}, {9'800, 200}},  {{5, 10}, {7'000, 3'000}},
      {{0, 10}, {0, 10'000}},   {{10, 0}, {10'000, 0}}, {{1, 1}, {5'000, 5'000}},  // 0.14 each: in proportion
      {{5, 1}, {8'333, 1'667}},                                                    // 0.7 and 0.14
      {{0, 0}, {0, 0}},
  };
  for (const char* policy : {"round_robin", "weighted", "least_load", "p2c_ewma", "consistent_hash"}) {
    for (const bool hashed : {false, true}) {
      for (const Row& row : rows) {
        Fleet fleet(std::vector<std::uint32_t>(20, 1));
        Fill(fleet, 10, row.usable);
        const std::vector<int> counts = ByRank(fleet, policy, hashed);
        for (std::size_t r = 0; r < 2; ++r)
          EXPECT_NEAR(counts[r], row.expected[r], 150)
              << policy << ", " << row.usable[0] << " and " << row.usable[1] << ", rank " << r;
      }
    }
  }
}

TEST(Zoned, TheOverflowGoesToTheNextNearest) {
  Fleet fleet(std::vector<std::uint32_t>(15, 1));
  Fill(fleet, 5, {2, 1, 5});  // 0.56, 0.28, 1
  const std::vector<int> counts = ByRank(fleet, "least_load");
  EXPECT_NEAR(counts[0], 5'600, 200);
  EXPECT_NEAR(counts[1], 2'800, 200);
  EXPECT_NEAR(counts[2], 1'600, 200);
}

TEST(Zoned, HealthGoesByWeight) {
  Fleet fleet({1, 3, 1});
  for (std::uint32_t i = 0; i < 3; ++i) fleet.view(i).zone_rank = i == 2;
  fleet.load(1).SetUsable(false, TimePoint{1});
  EXPECT_NEAR(ByRank(fleet, "least_load")[0], 3'500, 200);
}

// Requests go back and forth between the ranks, and each goes on where it was.
TEST(Zoned, EachRankIsUsedEvenly) {
  for (const char* policy : {"round_robin", "weighted"}) {
    Fleet fleet(std::vector<std::uint32_t>(20, 1));
    Fill(fleet, 10, {5, 10});
    Prng prng(1);
    const auto balancer = MakeZoned(*FindBalancer(policy), fleet.views(), prng);
    std::vector<int> counts(20);
    for (int i = 0; i < 10'000; ++i) ++counts[First(*balancer, {prng})];
    for (std::uint32_t i = 0; i < 20; ++i)
      EXPECT_NEAR(counts[i], i < 5 ? 1'400 : i < 10 ? 0 : 300, i < 10 ? 60 : 30) << policy << ' ' << i;
  }
}

// The near ones are full: the caller refuses them, and the walk goes on to the far ones.
TEST(Zoned, FullOnesOverflowByTheWalk) {
  Fleet fleet(std::vector<std::uint32_t>(6, 1));
  Fill(fleet, 2, {2, 2, 2});
  Prng prng(1);
  const auto balancer = MakeZoned(*FindBalancer("least_load"), fleet.views(), prng);
  const std::vector<std::uint32_t> walk = Walk(*balancer, {prng});
  ASSERT_EQ(walk.size(), 6u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(walk[i] / 2, i / 2);
}

TEST(Zoned, UnusableOnesComeLastButCome) {
  Fleet fleet(std::vector<std::uint32_t>(6, 1));
  Fill(fleet, 3, {2, 1});
  Prng prng(1);
  for (const BalancerRow& row : Balancers()) {
    const auto balancer = MakeZoned(row, fleet.views(), prng);
    const std::vector<std::uint32_t> walk = Walk(*balancer, {prng});
    ASSERT_EQ(walk.size(), 6u) << row.name;
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(fleet.load(walk[i]).usable(), i < 3) << row.name;
  }
}

// Half of the near ones fail for this model: of its requests the far ones get what they would if those were down.
TEST(Zoned, WhomABreakerLeavesAloneIsNotLeftOfARank) {
  constexpr TimePoint kNow{1'000'000'000};
  Fleet fleet(std::vector<std::uint32_t>(20, 1));
  Fill(fleet, 10, {10, 10});
  EjectionLimit limit(20);
  std::deque<CircuitBreaker> breakers;
  Prng prng(1);
  for (std::uint32_t i = 0; i < 20; ++i) breakers.emplace_back(CircuitBreakerRules{.consecutive_failures = 1}, limit);
  for (std::uint32_t i = 0; i < 5; ++i) breakers[i].Take(kNow)->Failure(kNow, prng);
  for (const BalancerRow& row : Balancers()) {
    const auto balancer = MakeZoned(row, fleet.views(), prng);
    int near = 0;
    for (int i = 0; i < 10'000; ++i) {
      PickContext context{prng, kNow};
      context.breakers = &breakers;
      const std::uint32_t first = First(*balancer, context);
      EXPECT_TRUE(breakers[first].Admits(kNow)) << row.name;
      if (first < 10) ++near;
    }
    EXPECT_NEAR(near, 7'000, 150) << row.name;
    PickContext context{prng, kNow};
    context.breakers = &breakers;
    EXPECT_EQ(Walk(*balancer, context).size(), 20u) << row.name << ": they come last, but come";
  }
}

TEST(Zoned, AKeyOverflowsToOnePlace) {
  Fleet fleet(std::vector<std::uint32_t>(20, 1));
  Fill(fleet, 10, {5, 10});
  Prng prng(1);
  const auto balancer = MakeZoned(*FindBalancer("consistent_hash"), fleet.views(), prng);
  for (int key = 0; key < 100; ++key) {
    const std::uint64_t hash = prng.Next();
    const std::uint32_t home = First(*balancer, {prng, TimePoint{0}, hash});
    for (int i = 0; i < 10; ++i) EXPECT_EQ(First(*balancer, {prng, TimePoint{0}, hash}), home);
  }
}

}  // namespace
}  // namespace penstock::policy
