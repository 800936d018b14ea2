#include "penstock/policy/backoff.hpp"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr Duration kForever = Duration::max();

TEST(NextBackoff, FullJitterUpToADoublingCeiling) {
  const struct {
    Duration base, max;
    std::uint32_t retry;
    Duration ceiling;
  } rows[] = {
      {25ms, 250ms, 1, 25ms},
      {25ms, 250ms, 2, 50ms},
      {25ms, 250ms, 3, 100ms},
      {25ms, 250ms, 4, 200ms},
      {25ms, 250ms, 5, 250ms},
      {25ms, 250ms, 60, 250ms},
      {25ms, 250ms, UINT32_MAX, 250ms},
      {25ms, 250ms, 0, 25ms},
      {25ms, 10ms, 1, 10ms},
      {0ms, 250ms, 9, 0ms},
      {25ms, 0ms, 9, 0ms},
      {-1ms, 250ms, 1, 0ms},
      {25ms, -1ms, 1, 0ms},
      {1ns, kForever, 63, Duration(std::int64_t{1} << 62)},
      {25ms, kForever, 200, kForever},
      {kForever, kForever, 1, kForever},
  };
  Prng prng(3);
  for (const auto& row : rows) {
    Duration least = kForever, most{};
    for (int i = 0; i < 2'000; ++i) {
      const Duration wait = NextBackoff(row.base, row.max, row.retry, prng);
      ASSERT_GE(wait, 0ns);
      ASSERT_LE(wait, row.ceiling);
      least = std::min(least, wait);
      most = std::max(most, wait);
    }
    EXPECT_LE(least, row.ceiling / 100) << row.retry << ": from zero";
    EXPECT_GE(most, row.ceiling - row.ceiling / 100) << row.retry << ": to the ceiling";
  }
}

TEST(NextBackoff, IsUniform) {
  Prng prng(4);
  double sum = 0;
  constexpr int kTimes = 100'000;
  for (int i = 0; i < kTimes; ++i) sum += ToMilliseconds(NextBackoff(25ms, 250ms, 3, prng));
  EXPECT_NEAR(sum / kTimes, 50, 0.5);
}

TEST(NextBackoff, SameSeedSameWaits) {
  Prng one(9), other(9);
  for (std::uint32_t i = 1; i < 10; ++i)
    EXPECT_EQ(NextBackoff(25ms, 250ms, i, one), NextBackoff(25ms, 250ms, i, other));
}

}  // namespace
}  // namespace penstock::policy
