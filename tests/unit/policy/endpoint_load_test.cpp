#include "penstock/policy/endpoint_load.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <utility>
#include <vector>

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
