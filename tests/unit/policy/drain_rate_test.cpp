#include "penstock/policy/drain_rate.hpp"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1'000'000'000'000};

TEST(DrainRate, NobodyHasGone) {
  DrainRate rate;
  rate.Begin(kStart);
  EXPECT_EQ(rate.PerSecond(kStart + 5s), 0);
  EXPECT_EQ(rate.PauseFor(10, kStart + 5s, 7s), 7s);
  EXPECT_EQ(rate.PauseFor(10, kStart + 5s, 10ms), 1s);
  EXPECT_EQ(rate.PauseFor(10, kStart + 5s, 1h), 60s);
}

TEST(DrainRate, WaitingByDepartures) {
  DrainRate rate;
  rate.Begin(kStart);
  TimePoint now = kStart;
  for (int i = 0; i < 40; ++i) rate.OnDeparture(now = now + 100ms);  // ten a second
  EXPECT_NEAR(rate.PerSecond(now), 10, 0.5);
  EXPECT_NEAR(ToSeconds(rate.PauseFor(200, now, 1s)), 20, 1);
  EXPECT_EQ(rate.PauseFor(3, now, 1s), 1s);
  EXPECT_EQ(rate.PauseFor(100'000, now, 1s), 60s);
}

TEST(DrainRate, TheBeginningCountsFromTheFirstWhoWaited) {
  DrainRate rate;
  rate.Begin(kStart);
  for (int i = 0; i < 30; ++i) rate.OnDeparture(kStart + 500ms);
  EXPECT_NEAR(rate.PerSecond(kStart + 500ms), 30, 0.1);  // as over a second, not over eight
}

TEST(DrainRate, ForgetsWhatIsOlderThanItsSeconds) {
  DrainRate rate;
  rate.Begin(kStart);
  for (int i = 0; i < 1000; ++i) rate.OnDeparture(kStart + 10ms);
  EXPECT_GT(rate.PerSecond(kStart + 7s), 100);
  EXPECT_EQ(rate.PerSecond(kStart + 9s), 0);
  rate.Begin(kStart + 100s);
  for (int i = 0; i < 20; ++i) rate.OnDeparture(kStart + 101s + i * 100ms);
  EXPECT_NEAR(rate.PerSecond(kStart + 103s), 20.0 / 3, 0.5);
}

TEST(DrainRate, AClockThatIsATurnBehind) {
  DrainRate rate;
  rate.Begin(kStart + 1s);
  rate.OnDeparture(kStart + 2s);
  rate.OnDeparture(kStart + 1s + 999ms);
  EXPECT_NEAR(rate.PerSecond(kStart + 2s), 2, 0.1);
}

}  // namespace
}  // namespace penstock::policy
