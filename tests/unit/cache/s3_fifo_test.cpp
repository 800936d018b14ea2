#include "cache/memory/s3_fifo.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "unit/cache/entries.hpp"

namespace penstock::cache {
namespace {

/// A cache of ten entries: one place in the small queue.
class S3FifoTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kCost = 100;
  S3FifoTest() { residents_.reserve(2000); }  // residents do not move
  Resident& Admit(std::uint64_t number) {
    Resident& resident = residents_.emplace_back();
    resident.digest = DigestOf(number);
    resident.holder = &holder_;
    resident.cost = kCost;
    policy_.Admit(resident);
    return resident;
  }
  Holder holder_;
  std::vector<Resident> residents_;
  S3Fifo policy_{10 * kCost};
};

TEST_F(S3FifoTest, AScanPassesThroughTheSmallQueueOnly) {
  for (std::uint64_t i = 0; i < 9; ++i) policy_.Touch(Admit(i));
  Admit(100);
  Admit(101);
  policy_.Evict();  // promotes the nine on the way to its first unused entry
  for (std::uint64_t i = 200; i < 1200; ++i) {
    Admit(i);
    ASSERT_GE(policy_.Evict() - &residents_[0], 9) << i;
  }
}

TEST_F(S3FifoTest, WhatComesBackEntersTheMainQueue) {
  Admit(1);
  Admit(2);
  EXPECT_EQ(policy_.Evict(), &residents_[0]);
  EXPECT_EQ(Admit(1).lane, 1);
  EXPECT_EQ(Admit(3).lane, 0);
}

TEST_F(S3FifoTest, AProvenEntryThatIsReplacedKeepsItsPlace) {
  Resident& resident = Admit(1);
  policy_.Touch(resident);
  policy_.Forget(resident, true);
  EXPECT_EQ(Admit(1).lane, 1);
  policy_.Forget(Admit(2), true);
  EXPECT_EQ(Admit(2).lane, 0) << "never used";
}

TEST_F(S3FifoTest, AnEntryIsSparedThreeTimesAtMost) {
  Admit(1);
  Admit(2);
  policy_.Evict();
  Resident& hot = Admit(1);
  for (int i = 0; i < 100; ++i) policy_.Touch(hot);
  EXPECT_EQ(hot.hits, 3);
}

TEST(GhostSet, RemembersForItsSpan) {
  GhostSet ghosts;
  constexpr std::size_t kSpan = 1000;
  for (std::uint64_t i = 0; i < 10'000; ++i) ghosts.Insert(DigestOf(i), kSpan);
  std::size_t recent = 0, old = 0;
  for (std::uint64_t i = 0; i < 10'000 - kSpan - 1; ++i) old += ghosts.Take(DigestOf(i));
  for (std::uint64_t i = 10'000 - kSpan; i < 10'000; ++i) recent += ghosts.Take(DigestOf(i));
  EXPECT_EQ(old, 0u);
  EXPECT_GE(recent, kSpan * 9 / 10) << "a full set loses its oldest";
  EXPECT_FALSE(ghosts.Take(DigestOf(9'999))) << "taken once";
  EXPECT_LE(ghosts.bytes(), 22 * kSpan);
}

}  // namespace
}  // namespace penstock::cache
