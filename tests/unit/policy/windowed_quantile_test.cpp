#include "penstock/policy/windowed_quantile.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "penstock/base/prng.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{300'000'000'000};

void Fill(WindowedQuantile& quantile, TimePoint now, Duration sample, int times) {
  for (int i = 0; i < times; ++i) quantile.Observe(now, sample);
}

TEST(WindowedQuantile, SaysNothingBeforeTwentySamples) {
  WindowedQuantile quantile(0.95);
  EXPECT_FALSE(quantile.Estimate(kStart).has_value());
  Fill(quantile, kStart, 10ms, 19);
  EXPECT_FALSE(quantile.Estimate(kStart + 1s).has_value());
  Fill(quantile, kStart, 10ms, 1);
  EXPECT_TRUE(quantile.Estimate(kStart + 2s).has_value());
}

TEST(WindowedQuantile, IsAtMostAnEighthAboveTheTruthAndNeverBelow) {
  Prng prng(7);
  for (const double q : {0.5, 0.9, 0.95, 0.99}) {
    WindowedQuantile quantile(q);
    std::vector<Duration> samples;
    for (int i = 0; i < 5'000; ++i) {
      samples.push_back(std::chrono::microseconds(100 + prng.Below(2'000'000)));
      quantile.Observe(kStart, samples.back());
    }
    std::sort(samples.begin(), samples.end());
    const double truth = ToSeconds(samples[static_cast<std::size_t>(q * 5'000) - 1]);
    const double found = ToSeconds(quantile.Estimate(kStart).value());
    EXPECT_GE(found, truth) << q;
    EXPECT_LE(found, truth * 1.126) << q;
  }
}

TEST(WindowedQuantile, ForgetsAWindowAfterAnother) {
  WindowedQuantile quantile(0.95);
  Fill(quantile, kStart, 5s, 100);
  Fill(quantile, kStart + WindowedQuantile::kWindow, 10ms, 100);
  EXPECT_GE(quantile.Estimate(kStart + WindowedQuantile::kWindow).value(), 5s) << "the window before counts too";
  EXPECT_LT(quantile.Estimate(kStart + 2 * WindowedQuantile::kWindow).value(), 12ms);
  EXPECT_FALSE(quantile.Estimate(kStart + 4 * WindowedQuantile::kWindow).has_value()) << "nobody asked for a minute";
  Fill(quantile, kStart + 4 * WindowedQuantile::kWindow, 1s, 20);
  EXPECT_GE(quantile.Estimate(kStart + 4 * WindowedQuantile::kWindow + 1s).value(), 1s)
      << "a window used before is empty";
}

TEST(WindowedQuantile, WhatIsBeyondItsRangeIsCountedAtTheEnds) {
  for (const auto& [sample, least, most] :
       {std::tuple<Duration, Duration, Duration>{0ns, 65us, 75us},
        {Duration(-5), 65us, 75us},
        {std::chrono::hours(3), std::chrono::minutes(18), std::chrono::minutes(21)}}) {
    WindowedQuantile quantile(0.95);
    Fill(quantile, kStart, sample, 20);
    EXPECT_GE(quantile.Estimate(kStart).value(), least);
    EXPECT_LE(quantile.Estimate(kStart).value(), most);
  }
}

TEST(WindowedQuantile, IsReadUpToHalfASecondLate) {
  WindowedQuantile quantile(0.95);
  Fill(quantile, kStart, 10ms, 20);
  ASSERT_LT(quantile.Estimate(kStart).value(), 12ms);
  Fill(quantile, kStart, 1s, 1'000);
  EXPECT_LT(quantile.Estimate(kStart + 499ms).value(), 12ms);
  EXPECT_GE(quantile.Estimate(kStart + 500ms).value(), 1s);
}

TEST(WindowedQuantile, CountsWhatEveryThreadSays) {
  WindowedQuantile quantile(0.95);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&quantile, i] { Fill(quantile, kStart, i == 0 ? 1s : 1ms, 10'000); });
  for (std::thread& thread : threads) thread.join();
  const double found = ToSeconds(quantile.Estimate(kStart).value());
  EXPECT_NEAR(found, 1.0, 0.13) << "a quarter took a second";
}

}  // namespace
}  // namespace penstock::policy
