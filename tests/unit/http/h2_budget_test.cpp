#include "http/h2_budget.hpp"

#include <gtest/gtest.h>

namespace penstock::http {
namespace {

constexpr std::uint8_t kData = 0;
constexpr std::uint8_t kWindowUpdate = 8;

TEST(H2Budget, ABucketRefillsToItsBurstAndNoFurther) {
  const H2Limits::Bucket limit{3, 2};
  H2Bucket bucket(limit);
  TimePoint now{1};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.Take(limit, now, 1));
  EXPECT_FALSE(bucket.Take(limit, now, 1));
  now = now + std::chrono::milliseconds(499);
  EXPECT_FALSE(bucket.Take(limit, now, 1));
  now = now + std::chrono::milliseconds(2);
  EXPECT_TRUE(bucket.Take(limit, now, 1));
  now = now + std::chrono::hours(1);
  EXPECT_FALSE(bucket.Take(limit, now, 4));
  EXPECT_TRUE(bucket.Take(limit, now, 3));
}

TEST(H2Budget, ABucketIgnoresAClockThatStandsStill) {
  const H2Limits::Bucket limit{1, 1000};
  H2Bucket bucket(limit);
  EXPECT_TRUE(bucket.Take(limit, TimePoint{5}, 1));
  EXPECT_FALSE(bucket.Take(limit, TimePoint{5}, 1));
  EXPECT_FALSE(bucket.Take(limit, TimePoint{4}, 1));
}

TEST(H2Budget, PrematureResetsNeedAHundredAndAHalf) {
  PrematureResets few;
  for (int i = 0; i < 99; ++i) EXPECT_TRUE(few.Add(true));
  EXPECT_FALSE(few.Add(true));

  PrematureResets mixed;
  for (int i = 0; i < 100'000; ++i) {
    EXPECT_TRUE(mixed.Add(false));
    EXPECT_TRUE(mixed.Add(false));
    EXPECT_TRUE(mixed.Add(true)) << "a third is not a half";
  }
  // The window forgets: 1,000 good ones later the count begins anew.
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(mixed.Add(false));
  for (int i = 0; i < 499; ++i) EXPECT_TRUE(mixed.Add(true));
  EXPECT_FALSE(mixed.Add(true));
}

TEST(H2Budget, H2_20_TenMebibytesInOneByteFramesAreNoJunk) {
  H2Budget budget{H2Limits{}};
  for (int i = 0; i < 10 * 1024 * 1024; ++i) {
    ASSERT_EQ(budget.OnFrame(kData, 0, 1), nullptr);
    budget.OnBody(1);
    ASSERT_EQ(budget.OnFed(10, 0), nullptr);
  }
}

TEST(H2Budget, H2_17_WindowUpdatesFollowTheDataSent) {
  H2Budget budget{H2Limits{}};
  int allowed = 0;
  for (int i = 0; i < 3; ++i) budget.OnStreamOpened();
  for (int i = 0; i < 4; ++i) budget.OnDataSent();
  while (budget.OnFrame(kWindowUpdate, 0, 4) == nullptr) ++allowed;
  EXPECT_EQ(allowed, 5 + 2 * (3 + 10 * 4));
}

TEST(H2Budget, TheOutputQueueIsBounded) {
  H2Budget budget{H2Limits{}};
  EXPECT_EQ(budget.OnFed(1, 1000), nullptr);
  EXPECT_STREQ(budget.OnFed(1, 1001), "output_flood");
}

TEST(H2Budget, GlitchesDecay) {
  H2Budget budget{H2Limits{}};
  TimePoint now{1};
  for (int second = 0; second < 10'000; ++second) {
    budget.set_now(now = now + std::chrono::seconds(1));
    for (int i = 0; i < 10; ++i) ASSERT_EQ(budget.OnGlitch(), nullptr);
  }
  EXPECT_FALSE(budget.wants_goaway());
  EXPECT_EQ(budget.OnGlitch(740), nullptr);
  EXPECT_TRUE(budget.wants_goaway());
  EXPECT_STREQ(budget.OnGlitch(251), "glitches");
}

}  // namespace
}  // namespace penstock::http
