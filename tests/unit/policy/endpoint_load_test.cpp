#include "penstock/policy/endpoint_load.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "penstock/base/prng.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

TEST(EndpointLoad, ALeaseCountsWhileItLives) {
  EndpointLoad load;
  {
    const auto lease = load.TryLease(0);
    ASSERT_TRUE(lease);
    EXPECT_EQ(load.in_flight(), 1u);
  }
  EXPECT_EQ(load.in_flight(), 0u);
  EXPECT_EQ(load.started(), 1u);
}

TEST(EndpointLoad, MovingALeaseCountsItOnce) {
  EndpointLoad load;
  LoadLease first = load.TryLease(0).value();
  LoadLease second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT: moved-from on purpose
  EXPECT_EQ(load.in_flight(), 1u);
  LoadLease third = load.TryLease(0).value();
  EXPECT_EQ(load.in_flight(), 2u);
  third = std::move(second);
  EXPECT_EQ(load.in_flight(), 1u);
  LoadLease& same = third;
  third = std::move(same);
  EXPECT_EQ(load.in_flight(), 1u);
  third.Release();
  third.Release();
  EXPECT_EQ(load.in_flight(), 0u);
  EXPECT_EQ(load.started(), 2u);
}

TEST(EndpointLoad, TheLimitIsExact) {
  EndpointLoad load;
  std::vector<LoadLease> held;
  while (auto lease = load.TryLease(3)) held.push_back(std::move(*lease));
  EXPECT_EQ(held.size(), 3u);
  EXPECT_EQ(load.started(), 3u) << "a refusal is no start";
  held.pop_back();
  EXPECT_TRUE(load.TryLease(3));
}

TEST(EndpointLoad, TheLimitHoldsAmongThreads) {
  EndpointLoad load;
  std::atomic<std::uint32_t> worst{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        const auto lease = load.TryLease(2);
        const std::uint32_t seen = load.in_flight();
        std::uint32_t known = worst.load();
        while (seen > known && !worst.compare_exchange_weak(known, seen)) {}
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(worst.load(), 2u);
  EXPECT_EQ(load.in_flight(), 0u);
}

TEST(EndpointLoad, UnitsAreCountedBesideRequests) {
  EndpointLoad load;
  LoadLease large = load.TryLease(2, 16).value();
  EXPECT_EQ(load.in_flight(), 1u);
  EXPECT_EQ(load.load(), 16u);
  LoadLease small = load.TryLease(2).value();
  EXPECT_EQ(load.load(), 17u);
  EXPECT_FALSE(load.TryLease(2)) << "the limit counts requests";
  LoadLease moved = std::move(large);
  small = std::move(moved);
  EXPECT_EQ(load.in_flight(), 1u);
  EXPECT_EQ(load.load(), 16u);
  small.Release();
  EXPECT_EQ(load.in_flight(), 0u);
  EXPECT_EQ(load.load(), 0u);
}

TEST(EndpointLoad, UnitsOfAPrompt) {
  EXPECT_EQ(UnitsOfPrompt(0), 1u);
  EXPECT_EQ(UnitsOfPrompt(8191), 1u);
  EXPECT_EQ(UnitsOfPrompt(8192), 2u);
  EXPECT_EQ(UnitsOfPrompt(14 * 8192), 15u);
  EXPECT_EQ(UnitsOfPrompt(15 * 8192), kUnitsMax);
  EXPECT_EQ(UnitsOfPrompt(1 << 30), kUnitsMax);
}

/// Leases taken, moved, released early, dropped and assigned over, in any order: a million of them.
void LiveRandomly(EndpointLoad& load, std::uint64_t seed, int lifecycles, std::atomic<std::uint32_t>& worst) {
  constexpr std::uint32_t kLimit = 40;
  Prng prng(seed);
  std::vector<LoadLease> held(16);
  while (lifecycles > 0) {
    LoadLease& slot = held[prng.Below(held.size())];
    switch (prng.Below(4)) {
      case 0: slot.Release(); break;
      case 1: slot = std::move(held[prng.Below(held.size())]); break;
      default:
        if (auto lease = load.TryLease(kLimit, 1 + static_cast<std::uint32_t>(prng.Below(kUnitsMax)))) {
          --lifecycles;
          if (prng.Below(4) != 0) slot = std::move(*lease);
        }
    }
    const std::uint32_t seen = load.in_flight();
    if (seen > kLimit) worst.store(seen);
  }
}

TEST(EndpointLoad, AfterAMillionLifecyclesNothingIsInFlight) {
  constexpr int kThreads = 4, kLifecycles = 1'000'000;
  EndpointLoad load;
  std::atomic<std::uint32_t> worst{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] { LiveRandomly(load, t + 1, kLifecycles / kThreads, worst); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(load.started(), static_cast<std::uint64_t>(kLifecycles));
  EXPECT_EQ(load.in_flight(), 0u);
  EXPECT_EQ(load.load(), 0u);
  EXPECT_EQ(worst.load(), 0u) << "over the limit";
}

TEST(EndpointLoad, ProgressIsKnownToTheGrain) {
  EndpointLoad load;
  EXPECT_EQ(load.last_progress(), TimePoint{0});
  const TimePoint start = TimePoint{0} + 5s;
  load.NoteProgress(start);
  EXPECT_EQ(load.last_progress(), start);
  load.NoteProgress(start + 1ms - 1ns);
  EXPECT_EQ(load.last_progress(), start);
  load.NoteProgress(start + 1ms);
  EXPECT_EQ(load.last_progress(), start + 1ms);
}

}  // namespace
}  // namespace penstock::policy
