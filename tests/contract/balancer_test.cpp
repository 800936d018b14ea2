// Every row of the balancer table keeps these promises; a new policy is under test as soon as it has its row.
#include "penstock/policy/balancer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "support/fleet.hpp"

namespace penstock::policy {
namespace {

class BalancerContract : public testing::TestWithParam<BalancerRow> {
 protected:
  std::unique_ptr<LoadBalancer> Make(const Fleet& fleet) { return GetParam().make(fleet.views(), prng_); }
  Prng prng_{20260914};
};

TEST_P(BalancerContract, IsFoundByItsName) {
  ASSERT_NE(FindBalancer(GetParam().name), nullptr);
  EXPECT_EQ(FindBalancer(GetParam().name)->make, GetParam().make);
}

TEST_P(BalancerContract, AnEmptySetHasNoCandidates) {
  const Fleet fleet({});
  const auto balancer = Make(fleet);
  EXPECT_TRUE(Walk(*balancer, {prng_}).empty());
}

TEST_P(BalancerContract, TheWalkNamesEveryEndpointOnceAndEnds) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{64}, std::size_t{65}, kEndpointsMax}) {
    std::vector<std::uint32_t> weights(size);
    for (std::size_t i = 0; i < size; ++i) weights[i] = 1 + static_cast<std::uint32_t>(i % 3);
    const Fleet fleet(weights);
    const auto balancer = Make(fleet);
    for (int round = 0; round < 3; ++round) {
      std::vector<std::uint32_t> picks = Walk(*balancer, {prng_});
      std::sort(picks.begin(), picks.end());
      std::vector<std::uint32_t> all(size);
      std::iota(all.begin(), all.end(), 0u);
      EXPECT_EQ(picks, all) << size;
      picks = Walk(*balancer, {prng_, TimePoint{0}, prng_.Next()});
      std::sort(picks.begin(), picks.end());
      EXPECT_EQ(picks, all) << size << ", with a hash";
    }
  }
}

TEST_P(BalancerContract, AfterTheEndItStaysAtTheEnd) {
  const Fleet fleet({1, 1});
  const auto balancer = Make(fleet);
  Candidates candidates(*balancer, {prng_});
  candidates.Next();
  candidates.Next();
  EXPECT_FALSE(candidates.Next());
  EXPECT_FALSE(candidates.Next());
}

TEST_P(BalancerContract, WeightZeroIsNeverProposed) {
  const Fleet fleet({0, 1, 0, 2});
  const auto balancer = Make(fleet);
  for (int i = 0; i < 50; ++i) {
    const std::vector<std::uint32_t> picks = Walk(*balancer, {prng_});
    EXPECT_EQ(std::set<std::uint32_t>(picks.begin(), picks.end()), (std::set<std::uint32_t>{1, 3}));
  }
  const Fleet emptied({0, 0});
  EXPECT_TRUE(Walk(*Make(emptied), {prng_}).empty());
}

TEST_P(BalancerContract, TheSameSeedGivesTheSamePicks) {
  const Fleet fleet({3, 1, 2, 1, 1, 5});
  const auto run = [&](std::uint64_t seed) {
    Prng prng(seed);
    const auto balancer = GetParam().make(fleet.views(), prng);
    std::vector<std::uint32_t> picks;
    for (int i = 0; i < 200; ++i) {
      const auto walk = Walk(*balancer, {prng});
      picks.insert(picks.end(), walk.begin(), walk.end());
    }
    return picks;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST_P(BalancerContract, SharesFollowTheWeights) {
  const std::vector<std::uint32_t> weights = {1, 2, 5, 2};
  const Fleet fleet(weights);
  const auto balancer = Make(fleet);
  std::vector<int> counts(weights.size());
  constexpr int kRequests = 10'000;
  for (int i = 0; i < kRequests; ++i) ++counts[First(*balancer, {prng_})];
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double share = GetParam().weighted ? weights[i] / 10.0 : 0.25;
    EXPECT_NEAR(counts[i], kRequests * share, kRequests * 0.02) << i;
  }
}

TEST_P(BalancerContract, SharesFollowTheWeightsWhileRequestsAreHeld) {
  const std::vector<std::uint32_t> weights = {1, 2, 5, 2};
  Fleet fleet(weights);
  const auto balancer = Make(fleet);
  std::vector<LoadLease> held;
  for (int i = 0; i < 1000; ++i) held.push_back(fleet.load(First(*balancer, {prng_})).TryLease(0).value());
  for (std::uint32_t i = 0; i < weights.size(); ++i) {
    const double share = GetParam().weighted ? weights[i] / 10.0 : 0.25;
    EXPECT_NEAR(fleet.load(i).in_flight(), 1000 * share, 20) << i;
  }
}

// U-37 and the cold start: everything ties, nobody may be the favourite.
TEST_P(BalancerContract, AColdFleetIsUsedEvenly) {
  const Fleet fleet(std::vector<std::uint32_t>(8, 1));
  const auto balancer = Make(fleet);
  std::vector<int> counts(8);
  for (int i = 0; i < 10'000; ++i) ++counts[First(*balancer, {prng_})];
  EXPECT_LE(SpreadOf(counts), 1.15);
}

TEST_P(BalancerContract, ManyWorkersDoNotBeginAtTheSameEndpoint) {
  const Fleet fleet(std::vector<std::uint32_t>(8, 1));
  std::vector<int> counts(8);
  for (int worker = 0; worker < 10'000; ++worker) ++counts[First(*Make(fleet), {prng_})];
  EXPECT_LE(SpreadOf(counts), 1.15);
}

// The share of an endpoint that the caller refuses is dealt out among all others, not given to its neighbour.
TEST_P(BalancerContract, ARefusedEndpointsShareIsDealtOut) {
  const Fleet fleet(std::vector<std::uint32_t>(5, 1));
  const auto balancer = Make(fleet);
  std::vector<int> counts(5);
  for (int i = 0; i < 10'000; ++i) {
    Candidates candidates(*balancer, {prng_});
    std::uint32_t pick = candidates.Next().value();
    if (pick == 2) pick = candidates.Next().value();
    ++counts[pick];
  }
  EXPECT_EQ(counts[2], 0);
  counts.erase(counts.begin() + 2);
  EXPECT_LE(SpreadOf(counts), 1.15);
}

// ... and when it is well again it gets its share, no burst.
TEST_P(BalancerContract, ARecoveredEndpointIsNotFlooded) {
  const Fleet fleet(std::vector<std::uint32_t>(5, 1));
  const auto balancer = Make(fleet);
  for (int i = 0; i < 10'000; ++i) {
    Candidates candidates(*balancer, {prng_});
    if (candidates.Next() == 2u) candidates.Next();
  }
  int to_recovered = 0;
  for (int i = 0; i < 100; ++i) to_recovered += First(*balancer, {prng_}) == 2u;
  EXPECT_LE(to_recovered, 35);
}

// Halfway through its slow start an endpoint has half of its weight.
TEST_P(BalancerContract, SlowStartLowersTheShare) {
  using namespace std::chrono_literals;
  Fleet fleet({1, 1, 1, 1});
  for (std::uint32_t i = 0; i < fleet.size(); ++i) fleet.view(i).slow_start = 30s;
  const TimePoint recovered = TimePoint{0} + 100s;
  fleet.load(2).SetUsable(false, TimePoint{0} + 50s);
  fleet.load(2).SetUsable(true, recovered);
  const auto balancer = Make(fleet);
  struct Row {
    Duration passed;
    double weight;
  };
  for (const Row& row : {Row{0s, 0.1}, Row{15s, 0.5}, Row{30s, 1}}) {
    int count = 0;
    for (int i = 0; i < 10'000; ++i) count += First(*balancer, {prng_, recovered + row.passed}) == 2;
    const double share = GetParam().weighted ? row.weight / (3 + row.weight) : 0.25;
    EXPECT_NEAR(count, 10'000 * share, 200) << ToSeconds(row.passed);
  }
}

TEST_P(BalancerContract, ByZoneTheWalkIsCompleteAndNearFirst) {
  Fleet fleet({1, 2, 1, 0, 3, 1, 1});
  for (std::uint32_t i = 0; i < fleet.size(); ++i) fleet.view(i).zone_rank = i % 3;
  const auto balancer = MakeZoned(GetParam(), fleet.views(), prng_);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::uint32_t> picks = Walk(*balancer, {prng_, TimePoint{0}, prng_.Next()});
    ASSERT_EQ(picks.size(), 6u);
    EXPECT_TRUE(std::is_sorted(picks.begin(), picks.end(), [](auto a, auto b) { return a % 3 < b % 3; }));
    std::sort(picks.begin(), picks.end());
    EXPECT_EQ(picks, (std::vector<std::uint32_t>{0, 1, 2, 4, 5, 6}));
  }
}

INSTANTIATE_TEST_SUITE_P(Table, BalancerContract, testing::ValuesIn(Balancers().begin(), Balancers().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(BalancerTable, HasThePoliciesOfTheContract) {
  for (const std::string_view name : {"round_robin", "weighted", "least_load", "p2c_ewma", "consistent_hash"}) {
    EXPECT_NE(FindBalancer(name), nullptr) << name;
  }
  EXPECT_EQ(FindBalancer("least_loaded"), nullptr);
  EXPECT_EQ(FindBalancer(""), nullptr);
}

TEST(LeastLoad, PrefersTheEmptiestByWeight) {
  struct Row {
    std::vector<std::uint32_t> weights, in_flight;
    std::set<std::uint32_t> expected;
  };
  const Row rows[] = {
      {{1, 1, 1}, {2, 0, 1}, {1}},       {{1, 1, 1}, {1, 0, 0}, {1, 2}}, {{1, 4, 1}, {1, 3, 2}, {1}},  // 1, 0.75, 2
      {{2, 4, 1}, {1, 2, 1}, {0, 1}},                                                                  // 0.5, 0.5, 1
      {{4'000'000'000, 1}, {3, 1}, {0}},
  };
  for (const Row& row : rows) {
    Fleet fleet(row.weights);
    std::vector<LoadLease> held;
    for (std::uint32_t i = 0; i < row.in_flight.size(); ++i) {
      for (std::uint32_t n = 0; n < row.in_flight[i]; ++n) held.push_back(fleet.load(i).TryLease(0).value());
    }
    Prng prng(1);
    const auto balancer = FindBalancer("least_load")->make(fleet.views(), prng);
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 100; ++i) seen.insert(First(*balancer, {prng}));
    EXPECT_EQ(seen, row.expected);
  }
}

// nginx's own example: 5, 1, 1 must not send five in a row to the first.
TEST(Weighted, IsSmooth) {
  const Fleet fleet({5, 1, 1});
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Prng prng(seed);
    const auto balancer = FindBalancer("weighted")->make(fleet.views(), prng);
    int run = 0;
    int longest = 0;
    for (int i = 0; i < 21; ++i) First(*balancer, {prng});
    for (int i = 0; i < 70; ++i) {
      run = First(*balancer, {prng}) == 0 ? run + 1 : 0;
      longest = std::max(longest, run);
    }
    EXPECT_LE(longest, 4) << seed;
  }
}

}  // namespace
}  // namespace penstock::policy
