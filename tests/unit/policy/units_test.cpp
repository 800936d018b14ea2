// A request with a long prompt is more load than one with a short prompt, to every policy that regards load.
#include <gtest/gtest.h>

#include <string>

#include "support/fleet.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow = TimePoint{0} + 1h;

class Units : public testing::TestWithParam<const char*> {};

TEST_P(Units, OneLongPromptOutweighsThreeShortOnes) {
  Prng prng(1);
  Fleet fleet({1, 1});
  const LoadLease large = fleet.load(0).TryLease(0, kUnitsMax).value();
  fleet.Hold(1, 3);
  const auto balancer = FindBalancer(GetParam())->make(fleet.views(), prng);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(First(*balancer, {prng, kNow, prng.Next()}), 1u) << i;
}

INSTANTIATE_TEST_SUITE_P(Policies, Units, testing::Values("least_load", "p2c_ewma", "consistent_hash"),
                         [](const auto& name) { return std::string(name.param); });

TEST(UnitsOfPick, TheRequestToComeCountsAsItIs) {
  Prng prng(1);
  Fleet fleet({1, 1});
  fleet.Hold(1);
  fleet.load(0).latency().Observe(kNow, 150ms);
  fleet.load(1).latency().Observe(kNow, 100ms);
  const auto balancer = FindBalancer("p2c_ewma")->make(fleet.views(), prng);
  PickContext context{prng, kNow};
  EXPECT_EQ(First(*balancer, context), 0u) << "0.15 x 1 against 0.1 x 2";
  context.units = kUnitsMax;
  EXPECT_EQ(First(*balancer, context), 1u) << "0.15 x 16 against 0.1 x 17";
}

}  // namespace
}  // namespace penstock::policy
