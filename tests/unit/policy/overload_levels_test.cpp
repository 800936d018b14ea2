#include "penstock/policy/overload_levels.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace penstock::policy {
namespace {

using A = OverloadAction;
using L = OverloadLevel;

struct Step {
  std::optional<double> pressure;
  L expected;
};

void Walk(const ResourceRules& rules, const std::vector<Step>& steps) {
  ResourceLevel level;
  level.SetRules(rules);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    level.Update(steps[i].pressure);
    EXPECT_EQ(level.level(), steps[i].expected) << "step " << i;
  }
}

TEST(ResourceLevel, P_08_EachThresholdHoldsAndLetsGoLower) {
  Walk({.at = {0.80, 0.90, 0.95}}, {{0.79, L::kCalm},
                                    {0.80, L::kWarning},
                                    {0.77, L::kWarning},  // 0.76 is 95 % of it
                                    {0.91, L::kCritical},
                                    {0.86, L::kCritical},
                                    {0.96, L::kExtreme},
                                    {0.91, L::kExtreme},
                                    {0.90, L::kCritical},
                                    {0.85, L::kWarning},
                                    {0.75, L::kCalm},
                                    {1.20, L::kExtreme},
                                    {0.10, L::kCalm}});
}

TEST(ResourceLevel, RisesAndFallsAfterSoManyInARow) {
  Walk({.at = {0.5}, .rise_after = 3, .fall_after = 2}, {{0.6, L::kCalm},
                                                         {0.6, L::kCalm},
                                                         {0.4, L::kCalm},  // begins anew
                                                         {0.6, L::kCalm},
                                                         {0.6, L::kCalm},
                                                         {0.6, L::kWarning},
                                                         {0.4, L::kWarning},
                                                         {0.49, L::kWarning},  // not clearly lower: begins anew
                                                         {0.4, L::kWarning},
                                                         {0.4, L::kCalm}});
}

TEST(ResourceLevel, P_11_ASampleThatSaysNothingChangesNothing) {
  Walk(
      {.at = {0.5}, .rise_after = 2, .fall_after = 2},
      {{0.6, L::kCalm}, {std::nullopt, L::kCalm}, {0.6, L::kWarning}, {std::nullopt, L::kWarning}, {0.1, L::kWarning}});
}

TEST(ResourceLevel, ZeroIsNever) {
  Walk({.at = {0.5, 0, 0.9}}, {{0.8, L::kWarning}, {5.0, L::kExtreme}, {0.8, L::kWarning}});
}

TEST(ResourceLevel, ARuleThatGoesLetsGo) {
  ResourceLevel level;
  level.SetRules({.at = {0.5}});
  level.Update(0.9);
  ASSERT_EQ(level.level(), L::kWarning);
  level.SetRules({});
  level.Update(std::nullopt);
  EXPECT_EQ(level.level(), L::kCalm);
}

TEST(OverloadActions, P_08_WhatEachLevelAsksFor) {
  struct Case {
    Resource resource;
    L level;
    OverloadActions expected;
  };
  const OverloadActions warned{A::kShrinkCaches, A::kDisableKeepalive, A::kShedBatch};
  for (const Case& c : {
           Case{Resource::kMemory, L::kCalm, {}},
           Case{Resource::kMemory, L::kWarning, warned},
           Case{Resource::kMemory, L::kCritical, warned | OverloadActions{A::kShedRequests}},
           Case{Resource::kMemory, L::kExtreme,
                warned | OverloadActions{A::kShedRequests, A::kStopAccepting, A::kResetStreams}},
           Case{Resource::kCpu, L::kWarning, {A::kShedBatch}},
           Case{Resource::kCpu, L::kCritical, {A::kShedBatch, A::kShedRequests}},
           Case{Resource::kLoopLag, L::kWarning, {A::kShedBatch}},
           Case{Resource::kLoopLag, L::kCritical, {A::kShedBatch, A::kShedRequests}},
           Case{Resource::kFds, L::kWarning, {A::kDisableKeepalive}},
           Case{Resource::kFds, L::kCritical, {A::kDisableKeepalive, A::kStopAccepting}},
       }) {
    EXPECT_EQ(ActionsOf(c.resource, c.level), c.expected)
        << kResourceNames[static_cast<std::size_t>(c.resource)] << " at " << static_cast<int>(c.level);
  }
}

TEST(OverloadActions, OnlyMemoryEndsWhatRuns) {
  for (std::size_t i = 0; i < kResources; ++i) {
    const auto resource = static_cast<Resource>(i);
    EXPECT_EQ(ActionsOf(resource, L::kExtreme).Has(A::kResetStreams), resource == Resource::kMemory);
  }
}

TEST(OverloadLevels, TheResourcesAddUp) {
  OverloadLevels levels;
  OverloadLevels::Rules rules;
  for (ResourceRules& each : rules) each.at = {0.5, 0.9};
  levels.SetRules(rules);
  OverloadLevels::Sample sample;
  sample[static_cast<std::size_t>(Resource::kCpu)] = 0.95;
  sample[static_cast<std::size_t>(Resource::kFds)] = 0.6;
  levels.Update(sample);
  EXPECT_EQ(levels.actions(), (OverloadActions{A::kShedBatch, A::kShedRequests, A::kDisableKeepalive}));
  EXPECT_EQ(levels.level(Resource::kMemory), L::kCalm);
}

}  // namespace
}  // namespace penstock::policy
