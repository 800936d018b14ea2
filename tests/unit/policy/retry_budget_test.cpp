#include "penstock/policy/retry_budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "penstock/base/prng.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1'000'000'000'000};

int TakeAll(RetryBudget& budget, TimePoint now) {
  int taken = 0;
  while (taken < 1'000'000 && budget.TryRetry(now)) ++taken;
  return taken;
}

TEST(RetryBudget, RatioAndReserve) {
  const struct {
    double ratio;
    std::uint32_t min;
    int requests;
    int retries;
  } rows[] = {{0.2, 3, 0, 3},  {0.2, 3, 4, 3},  {0.2, 3, 5, 4},   {0.2, 3, 100, 23}, {0.2, 0, 100, 20},
              {0, 3, 1000, 3}, {0, 0, 1000, 0}, {1, 0, 100, 100}, {3, 1, 10, 31},    {-1, 2, 100, 2}};
  for (const auto& row : rows) {
    RetryBudget budget({.ratio = row.ratio, .min = row.min}, 1);
    for (int i = 0; i < row.requests; ++i) budget.OnRequest(0, kStart);
    EXPECT_EQ(TakeAll(budget, kStart + 1s), row.retries) << row.ratio << " of " << row.requests << " and " << row.min;
  }
}

TEST(RetryBudget, RequestsOfAllWorkersCountForAWindow) {
  RetryBudget budget({.ratio = 0.1, .min = 0}, 3);
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    for (int i = 0; i < 100; ++i) budget.OnRequest(worker, kStart);
  }
  EXPECT_FALSE(budget.TryRetry(kStart + 10s)) << "they are as old as the window";
  RetryBudget young({.ratio = 0.1, .min = 0}, 3);
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    for (int i = 0; i < 100; ++i) young.OnRequest(worker, kStart);
  }
  EXPECT_EQ(TakeAll(young, kStart + 9400ms), 30);
}

TEST(RetryBudget, RetriesThatOutliveTheirRequestsUseTheReserve) {
  RetryBudget budget({}, 1);
  for (int i = 0; i < 10; ++i) budget.OnRequest(0, kStart);
  EXPECT_TRUE(budget.TryRetry(kStart + 9s));
  EXPECT_TRUE(budget.TryRetry(kStart + 9s));
  EXPECT_EQ(TakeAll(budget, kStart + 11s), 1) << "three in the window that ends here, and no request";
}

TEST(RetryBudget, TheReserveComesBackAfterAWindowWithoutWant) {
  RetryBudget budget({}, 1);
  EXPECT_EQ(TakeAll(budget, kStart), 3);
  EXPECT_EQ(TakeAll(budget, kStart + 10s - 1ns), 0) << "and asking puts it off";
  EXPECT_EQ(TakeAll(budget, kStart + 19s), 0);
  EXPECT_EQ(TakeAll(budget, kStart + 29s), 3);
}

TEST(RetryBudget, WhatIsPromisedIsKeptAndPaidOnce) {
  RetryBudget budget({.ratio = 0, .min = 2}, 1);
  RetryPromise first = budget.Promise(kStart);
  RetryPromise second = budget.Promise(kStart);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(budget.Promise(kStart)) << "two were there";
  EXPECT_FALSE(budget.TryRetry(kStart)) << "and who does not wait does not get in between";
  EXPECT_TRUE(budget.TryRetry(kStart + 1s, std::move(first)));
  EXPECT_FALSE(budget.TryRetry(kStart + 1s)) << "the other one is waited for still";
  second = {};
  EXPECT_TRUE(budget.TryRetry(kStart + 1s)) << "it was given back";
  EXPECT_FALSE(budget.TryRetry(kStart + 1s));
}

TEST(RetryBudget, APromiseIsNoRightWhenRequestsBecomeFewer) {
  RetryBudget budget({.ratio = 0.1, .min = 0}, 1);
  for (int i = 0; i < 10; ++i) budget.OnRequest(0, kStart);
  RetryPromise promise = budget.Promise(kStart);
  EXPECT_TRUE(promise);
  EXPECT_FALSE(budget.TryRetry(kStart + 11s, std::move(promise)));
}

/// Every stream is hedged, whenever that is: with a ratio of 1 the budget is no reason not to.
TEST(RetryBudget, ARatioOfOneRefusesNobodyBeside) {
  for (const Duration between : {10ms, 370ms, 700ms, 1000ms, 2900ms}) {
    for (const Duration late : {1ms, 250ms, 900ms, 5000ms}) {
      RetryBudget budget({.ratio = 1, .min = 0}, 1);
      std::vector<std::pair<TimePoint, TimePoint>> events;  // when, and of whom when it is no request
      for (Duration t = 0s; t < 60s; t += between) {
        events.emplace_back(kStart + t, TimePoint{});
        events.emplace_back(kStart + t + late, kStart + t);
      }
      std::sort(events.begin(), events.end());
      for (const auto& [at, asked_at] : events) {
        if (asked_at == TimePoint{}) {
          budget.OnRequest(0, at);
        } else {
          ASSERT_TRUE(budget.TryBeside(asked_at, at)) << ToMilliseconds(between) << " apart, " << ToMilliseconds(late)
                                                      << " late, at " << ToSeconds(at - kStart);
        }
      }
    }
  }
}

TEST(RetryBudget, WhoIsBesideKeepsTheRatio) {
  RetryBudget budget({.ratio = 0.05, .min = 1}, 1);
  int beside = 0, requests = 0;
  for (Duration t = 0s; t < 100s; t += 10ms) {
    budget.OnRequest(0, kStart + t);
    ++requests;
    beside += t >= 2s && budget.TryBeside(kStart + t - 2s, kStart + t);
  }
  EXPECT_LE(beside, 0.05 * requests + 1);
  EXPECT_GE(beside, 0.85 * 0.05 * requests);
}

TEST(RetryBudget, U_31_EveryAnswerA500ForAMinute) {
  for (const Duration between : {1ms, 7ms, 50ms, 400ms, 3000ms}) {
    RetryBudget budget({}, 2);
    int requests = 0, retries = 0;
    for (Duration t = 0s; t < 60s; t += between) {
      budget.OnRequest(static_cast<std::uint32_t>(requests++ % 2), kStart + t);
      retries += budget.TryRetry(kStart + t);
      EXPECT_LE(requests + retries, 1.2 * requests + 3);
    }
    // A twentieth of the window is forgotten early, and the first slots fill.
    EXPECT_GE(retries, static_cast<int>(0.2 * requests * 0.85)) << ToMilliseconds(between);
  }
}

TEST(RetryBudget, P_14_AClockBackwardsOrBeforeZeroIsHarmless) {
  RetryBudget budget({.ratio = 1, .min = 0}, 1);
  for (int i = 0; i < 10; ++i) budget.OnRequest(0, TimePoint{-1'000'000'000});
  EXPECT_EQ(TakeAll(budget, TimePoint{-5'000'000'000}), 10);
  for (int i = 0; i < 10; ++i) budget.OnRequest(0, kStart);
  EXPECT_EQ(TakeAll(budget, kStart), 10);
  EXPECT_EQ(TakeAll(budget, kStart - 9s), 0);
  for (int i = 0; i < 10; ++i) budget.OnRequest(0, kStart + 30s);
  EXPECT_EQ(TakeAll(budget, kStart + 31s), 10);
  EXPECT_EQ(TakeAll(budget, kStart + 30s), 0) << "what a faster clock took is taken";
}

TEST(RetryBudgetDeath, RefusesNonsense) {
  EXPECT_DEATH(RetryBudget({.window = kRetryWindowMin - 1ns}, 1), "assertion failed");
  RetryBudget budget({}, 1);
  EXPECT_DEATH(budget.OnRequest(1, kStart), "assertion failed");
}

/// All that happened, in order of time.
struct Log {
  std::vector<TimePoint> requests;
  std::vector<TimePoint> retries;

  /// In (after, to].
  static std::size_t Within(const std::vector<TimePoint>& events, TimePoint after, TimePoint to) {
    return static_cast<std::size_t>(std::upper_bound(events.begin(), events.end(), to) -
                                    std::upper_bound(events.begin(), events.end(), after));
  }
};

/// Random loads, pauses and bursts against the exact log: the bound holds for every window that ends with a retry, and
/// for any window with the requests of the one before it.
TEST(RetryBudgetProperty, U_31_TheBoundHoldsForEverySlidingWindow) {
  constexpr Duration kWindow = 10s;
  constexpr double kTiny = 1e-6;
  std::size_t events = 0, tight = 0, refused = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Prng prng(seed);
    const RetryBudgetRules rules{.ratio = 0.05 * static_cast<double>(1 + prng.Below(12)),
                                 .min = static_cast<std::uint32_t>(prng.Below(6)),
                                 .window = kWindow};
    RetryBudget budget(rules, 4);
    Log log;
    TimePoint now = kStart + Duration(static_cast<std::int64_t>(prng.Below(1'000'000'000)));
    std::uint64_t gap_ns = 1;
    std::vector<RetryPromise> promises;
    for (int i = 0; i < 15'000; ++i, ++events) {
      if (i % 500 == 0) gap_ns = std::uint64_t{1} << (10 + prng.Below(21));  // 1 us to 1 s
      now = now + Duration(static_cast<std::int64_t>(prng.Below(1000) == 0 ? prng.Below(15'000'000'000)
                                                                           : prng.Below(gap_ns)));
      if (prng.Below(2) == 0) {
        budget.OnRequest(static_cast<std::uint32_t>(prng.Below(4)), now);
        log.requests.push_back(now);
        continue;
      }
      // Some wait before they retry, and some of those never do.
      const std::uint64_t how = prng.Below(8);
      if (how == 0) {
        if (RetryPromise promise = budget.Promise(now)) promises.push_back(std::move(promise));
        continue;
      }
      RetryPromise promise;
      if (how <= 2 && !promises.empty()) {
        promise = std::move(promises.back());
        promises.pop_back();
      }
      if (how == 1 || !budget.TryRetry(now, std::move(promise))) {
        refused += how != 1;
        continue;
      }
      log.retries.push_back(now);
      const double bound = rules.ratio * static_cast<double>(Log::Within(log.requests, now - kWindow, now)) + rules.min;
      const auto retries = static_cast<double>(Log::Within(log.retries, now - kWindow, now));
      ASSERT_LE(retries, bound + kTiny) << "seed " << seed << ", event " << i;
      tight += retries > 0.9 * bound;
    }
    for (int i = 0; i < 2'000; ++i) {
      const TimePoint from =
          kStart + Duration(static_cast<std::int64_t>(prng.Below(static_cast<std::uint64_t>((now - kStart).count()))));
      const auto paying = static_cast<double>(Log::Within(log.requests, from - kWindow, from + kWindow));
      ASSERT_LE(static_cast<double>(Log::Within(log.retries, from, from + kWindow)),
                rules.ratio * paying + rules.min + kTiny);
    }
  }
  EXPECT_GE(events, 100'000u);
  EXPECT_GT(tight, 1'000u) << "the budget is used, not only kept";
  EXPECT_GT(refused, 1'000u);
}

TEST(RetryBudgetProperty, U_31_TwoThreads) {
  RetryBudget budget({}, 2);
  std::atomic<std::int64_t> clock{kStart.ns};
  std::atomic<int> retries{0};
  constexpr int kEach = 20'000;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const TimePoint now{clock.fetch_add(1'000'000)};
        budget.OnRequest(t, now);
        retries += budget.TryRetry(now);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(retries, 2 * kEach / 5 + 3);
  EXPECT_GT(retries, 2 * kEach / 5 * 8 / 10);
}

}  // namespace
}  // namespace penstock::policy
