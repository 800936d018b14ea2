#include "penstock/policy/health_state.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace penstock::policy {
namespace {

constexpr TimePoint kBegan{1'000};
constexpr TimePoint kQuiet{999};       // the last progress was before the probe
constexpr TimePoint kProgress{1'000};  // ... or since

/// o = ok, f = fail, t = timeout, p = timeout while requests made progress.
HealthState After(std::string_view probes, HealthThresholds thresholds = {}) {
  HealthState state(thresholds);
  for (const char probe : probes) {
    switch (probe) {
      case 'o': state.OnProbe(ProbeResult::kOk, kBegan, kQuiet); break;
      case 'f': state.OnProbe(ProbeResult::kFail, kBegan, kQuiet); break;
      case 'F': state.OnProbe(ProbeResult::kFail, kBegan, kProgress); break;
      case 't': state.OnProbe(ProbeResult::kTimeout, kBegan, kQuiet); break;
      case 'p': state.OnProbe(ProbeResult::kTimeout, kBegan, kProgress); break;
      default: ADD_FAILURE() << probe;
    }
  }
  return state;
}

TEST(HealthState, Sequences) {
  const struct {
    const char* probes;
    Health expected;
  } rows[] = {
      {"", Health::kUnknown},
      {"o", Health::kHealthy},
      {"f", Health::kUnknown},
      {"ff", Health::kUnknown},
      {"fff", Health::kUnhealthy},
      {"ttt", Health::kUnhealthy},
      {"ftf", Health::kUnhealthy},
      {"ffo", Health::kHealthy},
      {"ffoff", Health::kHealthy},
      {"offf", Health::kUnhealthy},
      {"fffo", Health::kUnhealthy},
      {"fffoo", Health::kHealthy},
      {"fffofo", Health::kUnhealthy},
      {"fffofoo", Health::kHealthy},
      {"oppppppp", Health::kHealthy},
      {"offppf", Health::kUnhealthy},  // a neutral probe neither counts nor breaks the streak
      {"offppo", Health::kHealthy},
      {"fffopo", Health::kHealthy},
      {"fffpppp", Health::kUnhealthy},  // ... nor does progress alone bring it back
      {"oFFF", Health::kUnhealthy},     // a refusal counts although streams go on
  };
  for (const auto& row : rows) EXPECT_EQ(After(row.probes).health(), row.expected) << row.probes;
}

TEST(HealthState, UnknownIsUsable) {
  EXPECT_TRUE(After("").usable());
  EXPECT_TRUE(After("ff").usable());
  EXPECT_TRUE(After("o").usable());
  EXPECT_FALSE(After("fff").usable());
}

TEST(HealthState, TellsWhenUsableChanges) {
  HealthState state({.unhealthy_after = 2, .healthy_after = 1});
  EXPECT_FALSE(state.OnProbe(ProbeResult::kOk, kBegan, kQuiet));
  EXPECT_FALSE(state.OnProbe(ProbeResult::kFail, kBegan, kQuiet));
  EXPECT_TRUE(state.OnProbe(ProbeResult::kFail, kBegan, kQuiet));
  EXPECT_FALSE(state.OnProbe(ProbeResult::kFail, kBegan, kQuiet));
  EXPECT_TRUE(state.OnProbe(ProbeResult::kOk, kBegan, kQuiet));
}

}  // namespace
}  // namespace penstock::policy
