#include "penstock/policy/token_bucket.hpp"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

int TakeAll(TokenBucket& bucket, TimePoint now) {
  int taken = 0;
  while (taken < 1'000'000 && bucket.TryTake(now)) ++taken;
  return taken;
}

TEST(TokenBucket, BurstThenRate) {
  TokenBucket bucket(200, 33);
  TimePoint now{0};
  EXPECT_EQ(TakeAll(bucket, now), 200);
  EXPECT_EQ(TakeAll(bucket, now + 1s), 33);
  EXPECT_EQ(TakeAll(bucket, now + 1s), 0);
  EXPECT_EQ(TakeAll(bucket, now + 2s), 33);
  EXPECT_EQ(TakeAll(bucket, now + 1h), 200) << "never more than the burst";
}

TEST(TokenBucket, ALongRunLosesNothing) {
  TokenBucket bucket(1, 10);
  int taken = 0;
  for (int ms = 0; ms < 100'000; ms += 7) taken += bucket.TryTake(TimePoint{0} + std::chrono::milliseconds(ms));
  // A burst of one waits for the next tick of 7 ms each time: 105 ms apart.
  constexpr int kDue = 100'000 / 105;
  EXPECT_NEAR(taken, kDue, 1);
  TokenBucket deep(50, 10);
  taken = 0;
  for (int ms = 0; ms < 100'000; ms += 7) taken += deep.TryTake(TimePoint{0} + std::chrono::milliseconds(ms));
  EXPECT_NEAR(taken, 1050, 1);
}

TEST(TokenBucket, AllOrNothing) {
  TokenBucket bucket(10, 1);
  EXPECT_FALSE(bucket.TryTake(TimePoint{0}, 11));
  EXPECT_TRUE(bucket.TryTake(TimePoint{0}, 7));
  EXPECT_FALSE(bucket.TryTake(TimePoint{0}, 4));
  EXPECT_TRUE(bucket.TryTake(TimePoint{0}, 3));
  EXPECT_FALSE(bucket.TryTake(TimePoint{0}, UINT32_MAX));
}

TEST(TokenBucket, P_14_AClockBeforeZeroOrBackwardsIsHarmless) {
  TokenBucket bucket(5, 1);
  EXPECT_EQ(TakeAll(bucket, TimePoint{-3'000'000'000}), 5);
  EXPECT_EQ(TakeAll(bucket, TimePoint{-4'000'000'000}), 0);
  EXPECT_EQ(TakeAll(bucket, TimePoint{0}), 3);
}

TEST(TokenBucketDeath, RefusesNonsense) {
  EXPECT_DEATH(TokenBucket(0, 1), "assertion failed");
  EXPECT_DEATH(TokenBucket(1, 0), "assertion failed");
}

}  // namespace
}  // namespace penstock::policy
