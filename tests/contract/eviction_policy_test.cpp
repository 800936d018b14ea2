// Every row of the eviction table keeps these promises; a new policy is under test as soon as it has its row.
#include "cache/memory/eviction_policy.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "penstock/base/prng.hpp"

namespace penstock::cache {
namespace {

constexpr std::uint64_t kCapacity = 100'000;
constexpr std::uint32_t kCost = 1000;

Digest DigestOf(std::uint64_t number) {
  Digest digest;
  Prng prng(number);
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint64_t word = prng.Next();
    std::memcpy(digest.bytes.data() + 8 * i, &word, sizeof word);
  }
  return digest;
}

class EvictionContract : public testing::TestWithParam<EvictionRow> {
 protected:
  EvictionContract() { residents_.reserve(20'000); }
  Resident& Make(std::uint64_t number, Holder& holder, std::uint32_t cost = kCost) {
    EXPECT_LT(residents_.size(), residents_.capacity()) << "residents do not move";
    Resident& resident = residents_.emplace_back();
    resident.digest = DigestOf(number);
    resident.holder = &holder;
    resident.cost = cost;
    return resident;
  }
  Resident& Admit(std::uint64_t number, Holder& holder, std::uint32_t cost = kCost) {
    Resident& resident = Make(number, holder, cost);
    policy_->Admit(resident);
    return resident;
  }

  std::unique_ptr<EvictionPolicy> policy_ = GetParam().make(kCapacity);
  std::vector<Resident> residents_;
  Holder one_, other_;
};

TEST_P(EvictionContract, AnEmptyPolicyHasNothingToGive) { EXPECT_EQ(policy_->Evict(), nullptr); }

TEST_P(EvictionContract, GivesEveryEntryBackOnce) {
  for (std::uint64_t i = 0; i < 500; ++i) {
    Resident& resident = Admit(i, i % 3 == 0 ? one_ : other_, static_cast<std::uint32_t>(1 + i * 37 % 5000));
    for (std::uint64_t hit = 0; hit < i % 5; ++hit) policy_->Touch(resident);
  }
  std::set<const Resident*> seen;
  while (const Resident* resident = policy_->Evict()) EXPECT_TRUE(seen.insert(resident).second);
  EXPECT_EQ(seen.size(), 500u);
  for (const Lane& lane : one_.lanes) EXPECT_EQ(lane.bytes, 0u);
  for (const Lane& lane : other_.lanes) EXPECT_EQ(lane.bytes, 0u);
}

TEST_P(EvictionContract, UnusedEntriesLeaveInTheOrderTheyCame) {
  for (std::uint64_t i = 0; i < 100; ++i) Admit(i, one_);
  for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(policy_->Evict(), &residents_[i]);
}

TEST_P(EvictionContract, AnEntryJustUsedIsNotTheNextToGo) {
  for (std::uint64_t i = 0; i < 100; ++i) Admit(i, one_);
  policy_->Touch(residents_[0]);
  EXPECT_EQ(policy_->Evict(), &residents_[1]);
}

TEST_P(EvictionContract, AForgottenEntryIsNeverGivenBack) {
  for (std::uint64_t i = 0; i < 100; ++i) Admit(i, one_);
  for (std::uint64_t i = 0; i < 100; i += 2) policy_->Forget(residents_[i], i % 4 == 0);
  std::size_t count = 0;
  while (const Resident* resident = policy_->Evict()) {
    EXPECT_EQ((resident - &residents_[0]) % 2, 1);
    ++count;
  }
  EXPECT_EQ(count, 50u);
}

TEST_P(EvictionContract, ANewCostCounts) {
  Resident& grown = Admit(1, one_);
  Admit(2, other_, 2 * kCost);
  policy_->Recost(grown, 10 * kCost);
  EXPECT_EQ(one_.lanes[grown.lane].bytes, 10 * kCost);
  EXPECT_EQ(policy_->Evict(), &grown) << "its tenant now holds most";
}

TEST_P(EvictionContract, AnEntryIsProvenByAHit) {
  Resident& resident = Admit(1, one_);
  EXPECT_FALSE(policy_->Proven(resident));
  policy_->Touch(resident);
  EXPECT_TRUE(policy_->Proven(resident));
}

TEST_P(EvictionContract, K_16_TheLargestTenantGivesFirst) {
  for (std::uint64_t i = 0; i < 20; ++i) Admit(i, other_);  // older than everything that follows
  for (std::uint64_t i = 20; i < 100; ++i) Admit(i, one_);
  for (int i = 0; i < 55; ++i) ASSERT_EQ(policy_->Evict()->holder, &one_) << i;
}

TEST_P(EvictionContract, K_16_ATenantThatHoldsLessLosesNothingToAFlood) {
  for (std::uint64_t i = 0; i < 5; ++i) Admit(i, other_);
  std::uint64_t lost = 0;
  for (std::uint64_t i = 100; i < 19'000; ++i) {
    Admit(i, one_);
    if (i >= 195) lost += policy_->Evict()->holder == &other_;
  }
  EXPECT_EQ(lost, 0u);
}

TEST_P(EvictionContract, OneEvictionIsBoundedWhenEverythingIsHot) {
  for (std::uint64_t i = 0; i < 1000; ++i) {
    Resident& resident = Admit(i, one_);
    for (int hit = 0; hit < 9; ++hit) policy_->Touch(resident);
  }
  const Resident* const gone = policy_->Evict();
  ASSERT_NE(gone, nullptr);
  EXPECT_LE(gone - &residents_[0], static_cast<std::ptrdiff_t>(kSparedMax));
}

INSTANTIATE_TEST_SUITE_P(Table, EvictionContract,
                         testing::ValuesIn(EvictionPolicies().begin(), EvictionPolicies().end()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(EvictionTable, HasThePoliciesOfTheContract) {
  std::set<std::string_view> names;
  for (const EvictionRow& row : EvictionPolicies()) names.insert(row.name);
  EXPECT_EQ(names, (std::set<std::string_view>{"s3fifo", "lru"}));
}

}  // namespace
}  // namespace penstock::cache
