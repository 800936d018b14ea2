#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "support/fleet.hpp"
#include "support/seed.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

/// A key's hash; Prng's seeding scatters neighbours.
std::uint64_t HashOf(std::uint64_t key) { return Prng(key).Next(); }

class ConsistentHash : public testing::Test {
 protected:
  /// Of the cluster as it is now.
  void Make(const Fleet& fleet) { balancer_ = FindBalancer("consistent_hash")->make(fleet.views(), prng_); }
  std::uint32_t Of(std::uint64_t key) { return First(*balancer_, {prng_, TimePoint{0}, HashOf(key)}); }
  std::vector<std::uint32_t> OrderOf(std::uint64_t key) { return Walk(*balancer_, {prng_, TimePoint{0}, HashOf(key)}); }

  Prng prng_{5};
  std::unique_ptr<LoadBalancer> balancer_;
};

TEST_F(ConsistentHash, AKeyStaysWhereItIs) {
  const Fleet fleet(std::vector<std::uint32_t>(20, 1));
  std::vector<std::vector<std::uint32_t>> orders;
  Make(fleet);
  for (std::uint64_t key = 0; key < 100; ++key) orders.push_back(OrderOf(key));
  prng_ = Prng(77);
  Make(fleet);  // another worker, another process
  for (std::uint64_t key = 0; key < 100; ++key) EXPECT_EQ(OrderOf(key), orders[key]) << key;
}

TEST_F(ConsistentHash, KeysFollowTheWeights) {
  const std::vector<std::uint32_t> weights = {1, 2, 5, 2, 0, 10};
  const Fleet fleet(weights);
  Make(fleet);
  std::vector<int> counts(weights.size());
  for (std::uint64_t key = 0; key < 40'000; ++key) ++counts[Of(key)];
  for (std::size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(counts[i], weights[i] * 2000, 200) << i;
}

// Whoever leaves, whether refused, emptied or removed from the configuration: nobody else's keys move, and the leaver's
// are dealt out among all others.
TEST_F(ConsistentHash, OnlyTheKeysOfALeaverMove) {
  constexpr std::uint32_t kLeaver = 3;
  Fleet fleet(std::vector<std::uint32_t>(10, 2));
  for (std::uint32_t i = 0; i < 10; ++i) fleet.view(i).id = 1000 + i;
  Make(fleet);
  std::vector<std::uint32_t> before;
  std::vector<std::uint32_t> next;
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    before.push_back(Of(key));
    next.push_back(OrderOf(key)[1]);
  }
  Fleet smaller(std::vector<std::uint32_t>(9, 2));
  for (std::uint32_t i = 0; i < 9; ++i) smaller.view(i).id = 1000 + i + (i >= kLeaver);
  Make(smaller);
  std::vector<int> inherited(10);
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    const std::uint32_t i = Of(key);
    const std::uint32_t now = i + (i >= kLeaver);
    if (before[key] != kLeaver) {
      EXPECT_EQ(now, before[key]) << key;
    } else {
      EXPECT_EQ(now, next[key]) << key;
      ++inherited[now];
    }
  }
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_NEAR(inherited[i], i == kLeaver ? 0 : 111, 40) << i;
}

/// What Schindelhauer and Schomaker say, endpoint by endpoint; where a key lives is the same in every release.
std::uint32_t ByDefinition(const Fleet& fleet, const EndpointSet& tried, std::uint64_t hash, std::uint32_t units) {
  const auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  };
  double load = units;
  double weight = 0;
  for (std::uint32_t i = 0; i < fleet.size(); ++i) {
    const EndpointView& view = fleet.views()[i];
    if (tried.Contains(i) || !view.load->usable()) continue;
    load += static_cast<double>(view.load->load());
    weight += view.weight;
  }
  std::uint32_t best = fleet.size();
  double least = std::numeric_limits<double>::infinity();
  for (std::uint32_t i = 0; i < fleet.size(); ++i) {
    const EndpointView& view = fleet.views()[i];
    const bool full = weight > 0 && static_cast<double>(view.load->load()) >= 1.25 * load / weight * view.weight;
    if (tried.Contains(i) || full) continue;
    const double u = static_cast<double>((mix(hash + mix(view.id != 0 ? view.id : i + 1)) >> 11) + 1) * 0x1.0p-53;
    if (-std::log(u) / view.weight >= least) continue;
    best = i;
    least = -std::log(u) / view.weight;
  }
  return best;
}

TEST_F(ConsistentHash, IsWhatItsDefinitionSays) {
  const test::Seed seed;
  Prng prng(seed.value());
  for (int round = 0; round < 300; ++round) {
    std::vector<std::uint32_t> weights(1 + prng.Below(100));
    const std::uint64_t different = 1 + prng.Below(9);
    for (std::uint32_t& weight : weights) weight = 1 + static_cast<std::uint32_t>(prng.Below(different));
    Fleet fleet(weights);
    EndpointSet tried;
    for (std::uint32_t i = 0; i < fleet.size(); ++i) {
      if (prng.Below(2) == 0) fleet.view(i).id = prng.Next();
      fleet.Hold(i, static_cast<int>(prng.Below(10)));
      if (prng.Below(8) == 0) fleet.load(i).SetUsable(false, TimePoint{1});
    }
    Make(fleet);
    for (std::uint32_t i = 0; i < fleet.size(); ++i) {  // a walk: each is in it when it was named
      PickContext context{prng, TimePoint{0}, prng.Next(), static_cast<std::uint32_t>(1 + prng.Below(4))};
      const auto pick = balancer_->Pick(tried, context);
      ASSERT_TRUE(pick.has_value());
      ASSERT_EQ(*pick, ByDefinition(fleet, tried, *context.hash, context.units)) << "of " << fleet.size();
      tried.Insert(*pick);
    }
    PickContext context{prng, TimePoint{0}, prng.Next()};
    EXPECT_EQ(balancer_->Pick(tried, context), std::nullopt);
  }
}

TEST_F(ConsistentHash, AHotKeyOverflowsInItsOrder) {
  Fleet fleet(std::vector<std::uint32_t>(8, 1));
  Make(fleet);
  const std::vector<std::uint32_t> order = OrderOf(42);
  for (int i = 0; i < 800; ++i) {
    fleet.Hold(Of(42));
    for (std::uint32_t e = 0; e < 8; ++e) EXPECT_LE(fleet.load(e).in_flight(), 1.25 * (i + 1) / 8 + 1);
  }
  // 1.25 times the average of 100, as far as it goes.
  const int expected[] = {125, 125, 125, 125, 125, 125, 50, 0};
  for (std::uint32_t e = 0; e < 8; ++e) EXPECT_NEAR(fleet.load(order[e]).in_flight(), expected[e], 2) << e;
}

TEST_F(ConsistentHash, TheBoundGoesByWeightAndCountsTheUsable) {
  Fleet fleet({1, 1, 6});
  Make(fleet);
  std::uint64_t key = 0;
  while (OrderOf(key) != std::vector<std::uint32_t>{2, 0, 1}) ++key;
  // 6/8 of 41 requests times 1.25 are 38.4.
  fleet.Hold(2, 38);
  fleet.Hold(0, 2);
  EXPECT_EQ(Of(key), 2u);
  fleet.Hold(2, 7);
  fleet.load(0).SetUsable(false, TimePoint{1});
  EXPECT_EQ(Of(key), 2u) << "6/7 of 46 are 49.3";
  fleet.load(0).SetUsable(true, TimePoint{1});
  EXPECT_EQ(Of(key), 0u) << "6/8 of 48 are 45";
}

// Half of them fail for this model: the others have their load, and are no more overloaded than if those were down.
TEST_F(ConsistentHash, WhomABreakerLeavesAloneHasNoShare) {
  constexpr TimePoint kNow{1'000'000'000};
  Fleet fleet(std::vector<std::uint32_t>(4, 1));
  EjectionLimit limit(4);
  std::deque<CircuitBreaker> breakers;
  for (int i = 0; i < 4; ++i) breakers.emplace_back(CircuitBreakerRules{.consecutive_failures = 1}, limit);
  for (std::uint32_t i = 2; i < 4; ++i) breakers[i].Take(kNow)->Failure(kNow, prng_);
  Make(fleet);
  std::uint64_t key = 0;
  while (Of(key) != 0) ++key;
  fleet.Hold(0, 10);
  fleet.Hold(1, 10);
  PickContext context{prng_, kNow, HashOf(key)};
  context.breakers = &breakers;
  EXPECT_EQ(First(*balancer_, context), 0u) << "half of 21 times 1.25 are 13";
}

TEST_F(ConsistentHash, ASlowStartLowersTheBoundAndMovesNoKeyOfTheIdle) {
  Fleet fleet({1, 1});
  for (std::uint32_t i = 0; i < 2; ++i) fleet.view(i).slow_start = 30s;
  Make(fleet);
  std::uint64_t key = 0;
  while (Of(key) != 0) ++key;
  fleet.load(0).SetUsable(false, TimePoint{1});
  fleet.load(0).SetUsable(true, TimePoint{2});
  EXPECT_EQ(Of(key), 0u);
  fleet.Hold(0, 2);
  fleet.Hold(1, 4);
  EXPECT_EQ(Of(key), 1u) << "a tenth of a share of 7";
}

TEST_F(ConsistentHash, WithoutAKeyTheLoadDecides) {
  Fleet fleet({1, 1, 1});
  fleet.Hold(0);
  fleet.Hold(2);
  Make(fleet);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(First(*balancer_, {prng_}), 1u);
}

}  // namespace
}  // namespace penstock::policy
