#include "penstock/policy/peak_ewma.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{5'000'000'000};

TEST(PeakEwma, AHigherSampleIsBelievedAtOnce) {
  PeakEwma latency(10s);
  latency.Observe(kStart, 100ms);
  EXPECT_NEAR(latency.Estimate(kStart, true), 0.1, 1e-6);
  latency.Observe(kStart, 3s);
  EXPECT_NEAR(latency.Estimate(kStart, true), 3.0, 1e-6);
}

TEST(PeakEwma, ALowerSampleCountsByTheTimeSinceTheLast) {
  struct Row {
    Duration passed;
    double expected;
  };
  const Row rows[] = {
      {0ms, 2 - 1.0 / 8},        {1s, 2 - 1.0 / 8},         {2s, 1 + std::exp(-0.2)},
      {10s, 1 + std::exp(-1.0)}, {30s, 1 + std::exp(-3.0)}, {24h, 1.0},
  };
  for (const Row& row : rows) {
    PeakEwma latency(10s);
    latency.Observe(kStart, 2s);
    latency.Observe(kStart + row.passed, 1s);
    EXPECT_NEAR(latency.Estimate(kStart + row.passed, true), row.expected, 1e-3) << ToSeconds(row.passed);
  }
}

TEST(PeakEwma, AnIdleEndpointIsForgiven) {
  PeakEwma latency(10s);
  latency.Observe(kStart, 5s);
  EXPECT_NEAR(latency.Estimate(kStart + 10s, true), 5 * std::exp(-1.0), 1e-3);
  EXPECT_LT(latency.Estimate(kStart + 120s, true), 1e-4);
  EXPECT_GT(latency.Estimate(kStart + 120s, true), 0.0) << "not as one that was never tried";
}

TEST(PeakEwma, LookingChangesNothing) {
  PeakEwma latency(10s);
  latency.Observe(kStart, 5s);
  for (int i = 0; i < 100; ++i) latency.Estimate(kStart + i * 1s, true);
  EXPECT_NEAR(latency.Estimate(kStart, true), 5.0, 1e-6);
  latency.Observe(kStart + 10s, 1s);
  EXPECT_NEAR(latency.Estimate(kStart + 10s, true), 1 + 4 * std::exp(-1.0), 1e-2);
}

TEST(PeakEwma, OneThatHangsDoesNotLookBetterAndBetter) {
  PeakEwma latency(10s);
  latency.Observe(kStart, 5s);
  EXPECT_NEAR(latency.Estimate(kStart + 10s, false), 5 * std::exp(-1.0), 1e-3);
  EXPECT_NEAR(latency.Estimate(kStart + 600s, false), 5 * PeakEwma::kDecayFloor, 1e-6);
}

TEST(PeakEwma, AClockThatIsBehindDecaysNothing) {
  PeakEwma latency(10s);
  latency.Observe(kStart, 5s);
  EXPECT_NEAR(latency.Estimate(kStart - 3s, true), 5.0, 1e-6);
  latency.Observe(kStart - 3s, 1s);
  EXPECT_NEAR(latency.Estimate(kStart, true), 5.0 - 4.0 / 8, 1e-6);
}

TEST(PeakEwma, ASampleOfNothingIsASample) {
  PeakEwma latency(10s);
  EXPECT_EQ(latency.Estimate(kStart, true), 0.0);
  latency.Observe(kStart, Duration{0});
  EXPECT_GT(latency.Estimate(kStart, true), 0.0);
}

TEST(PeakEwma, ManyLowerSamplesOutweighOnePeak) {
  PeakEwma latency(10s);
  latency.Observe(kStart, 30s);
  for (int i = 0; i < 40; ++i) latency.Observe(kStart, 1s);
  EXPECT_LT(latency.Estimate(kStart, true), 1.2);
  EXPECT_GE(latency.Estimate(kStart, true), 1.0);
}

TEST(PeakEwma, NoSampleIsLostAmongThreads) {
  PeakEwma latency(10s);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 1; i <= 5'000; ++i) latency.Observe(kStart, std::chrono::microseconds(i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Everyone's last samples are at most the highest, and none may be overwritten by what was computed without it.
  EXPECT_LE(latency.Estimate(kStart, true), 0.005 + 1e-6);
  EXPECT_GT(latency.Estimate(kStart, true), 0.0);
}

}  // namespace
}  // namespace penstock::policy
