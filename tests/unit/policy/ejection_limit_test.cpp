#include "penstock/policy/ejection_limit.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace penstock::policy {
namespace {

TEST(EjectionLimit, U_30_NeverMoreThanTheShareNorTheLast) {
  const struct {
    std::uint32_t endpoints;
    double max_ejected;
    bool has_fallback;
    std::uint32_t allowed;
  } rows[] = {
      {0, 0.5, false, 0},  {1, 0.5, false, 0},     {2, 0.5, false, 1},  {3, 0.5, false, 1},      {4, 0.5, false, 2},
      {5, 0.5, false, 2},  {1, 1.0, false, 0},     {4, 1.0, false, 3},  {4, 0.0, false, 0},      {4, 7.0, false, 3},
      {4, -1.0, false, 0}, {100, 0.29, false, 29}, {10, 0.3, false, 3}, {1024, 0.5, false, 512}, {3, 0.34, false, 1},
      {3, 0.33, false, 0}, {1, 0.5, true, 1},      {4, 0.5, true, 4},   {4, 0.0, true, 4},       {0, 0.5, true, 0},
  };
  for (const auto& row : rows) {
    const std::uint32_t allowed = EjectionsAllowed(row.endpoints, row.max_ejected, row.has_fallback);
    EXPECT_EQ(allowed, row.allowed) << row.endpoints << " endpoints, " << row.max_ejected;
    EjectionLimit limit(allowed);
    for (std::uint32_t i = 0; i < allowed; ++i) EXPECT_TRUE(limit.TryEject());
    EXPECT_FALSE(limit.TryEject());
    EXPECT_EQ(limit.ejected(), allowed);
    for (std::uint32_t i = 0; i < allowed; ++i) limit.Return();
    EXPECT_EQ(limit.ejected(), 0u);
  }
}

TEST(EjectionLimit, AReturnedPlaceMayBeTakenAgain) {
  EjectionLimit limit(1);
  EXPECT_TRUE(limit.TryEject());
  EXPECT_FALSE(limit.TryEject());
  limit.Return();
  EXPECT_TRUE(limit.TryEject());
}

TEST(EjectionLimit, HoldsAmongThreads) {
  EjectionLimit limit(3);
  std::atomic<std::uint32_t> worst{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; ++i) {
        std::uint32_t taken = 0;
        while (taken < 2 && limit.TryEject()) ++taken;
        const std::uint32_t seen = limit.ejected();
        std::uint32_t known = worst.load();
        while (seen > known && !worst.compare_exchange_weak(known, seen)) {}
        for (; taken != 0; --taken) limit.Return();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(worst.load(), 3u);
  EXPECT_EQ(limit.ejected(), 0u);
}

TEST(EjectionLimitDeath, WhatWasNotTakenCannotBeReturned) {
  EjectionLimit limit(1);
  EXPECT_DEATH(limit.Return(), "assertion failed");
}

}  // namespace
}  // namespace penstock::policy
