#include "penstock/policy/load_switch.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace penstock::policy {
namespace {

TEST(LoadSwitch, OnAboveOffBelowElseAsItIs) {
  LoadSwitch load_switch(0.8, 0.6);
  struct Step {
    double load;
    bool on;
    std::uint64_t times;
  };
  for (const Step& step : {Step{0.8, false, 0}, Step{0.81, true, 1}, Step{0.7, true, 1}, Step{0.6, true, 1},
                           Step{0.59, false, 1}, Step{0.7, false, 1}, Step{0.9, true, 2},
                           Step{std::numeric_limits<double>::infinity(), true, 2}, Step{0, false, 2}}) {
    EXPECT_EQ(load_switch.Update(step.load), step.on) << step.load;
    EXPECT_EQ(load_switch.on(), step.on) << step.load;
    EXPECT_EQ(load_switch.times(), step.times) << step.load;
  }
}

}  // namespace
}  // namespace penstock::policy
