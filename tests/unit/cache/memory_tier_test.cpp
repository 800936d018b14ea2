#include "penstock/cache/memory_tier.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "cache/memory/node.hpp"
#include "unit/cache/allocations.hpp"
#include "unit/cache/entries.hpp"

namespace penstock::cache {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

MemoryOptions Options(std::uint64_t size_bytes, Eviction policy = Eviction::kS3Fifo, std::uint32_t shards = 1) {
  return {.size_bytes = size_bytes, .shards = shards, .policy = policy};
}

class MemoryTierTest : public testing::TestWithParam<Eviction> {};
INSTANTIATE_TEST_SUITE_P(Policies, MemoryTierTest, testing::Values(Eviction::kS3Fifo, Eviction::kLru),
                         [](const auto& row) { return row.param == Eviction::kLru ? "lru" : "s3fifo"; });

TEST_P(MemoryTierTest, ReadsWhatWasWritten) {
  MemoryTier tier(Options(kMiB, GetParam(), 4));
  Entry written = EntryWith("an answer", 7, 9);
  written.form = Form::kEvents;
  written.family = llm::Family::kDetokenize;
  written.usage = {1, 2};
  ASSERT_TRUE(tier.Insert(DigestOf(1), written, kNow));
  const auto read = tier.Find(DigestOf(1), kNow);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bytes.view().data(), written.bytes.view().data()) << "shared, not copied";
  EXPECT_EQ(read->form, Form::kEvents);
  EXPECT_EQ(read->family, llm::Family::kDetokenize);
  EXPECT_EQ(read->usage, written.usage);
  EXPECT_EQ(read->scope, (Scope{7, 9}));
  EXPECT_EQ(read->stored_at.us, written.stored_at.us);
  EXPECT_EQ(read->expires_at.us, written.expires_at.us);
  EXPECT_FALSE(tier.Find(DigestOf(2), kNow));
}

TEST_P(MemoryTierTest, TheLastWriteWins) {
  MemoryTier tier(Options(kMiB, GetParam()));
  tier.Insert(DigestOf(1), EntryWith("old"), kNow);
  tier.Insert(DigestOf(1), EntryWith("new"), kNow);
  EXPECT_EQ(tier.Find(DigestOf(1), kNow)->bytes.view(), "new");
  EXPECT_EQ(tier.Use().entries, 1u);
  EXPECT_TRUE(tier.Erase(DigestOf(1)));
  EXPECT_FALSE(tier.Erase(DigestOf(1)));
  EXPECT_FALSE(tier.Find(DigestOf(1), kNow));
}

TEST_P(MemoryTierTest, P_08_ShrinksAtOnceAndTakesMoreAgainWhenItMay) {
  MemoryTier tier(Options(4 * kMiB, GetParam(), 4));
  std::uint64_t next = 0;
  const auto fill = [&] {
    for (int i = 0; i < 10'000; ++i) tier.Insert(DigestOf(next++), EntryWith(std::string(1000, 'x')), kNow);
    return tier.Use().bytes;
  };
  EXPECT_GT(fill(), 3 * kMiB);
  tier.Resize(kMiB);
  EXPECT_LE(tier.Use().bytes, kMiB);
  EXPECT_GT(tier.Use().entries, 100u);
  EXPECT_EQ(tier.allowed_bytes(), kMiB);
  EXPECT_LE(fill(), kMiB) << "it stays so";
  EXPECT_TRUE(tier.Find(DigestOf(next - 1), kNow));
  tier.Resize(0);
  EXPECT_EQ(tier.Use().entries, 0u);
  EXPECT_FALSE(tier.Insert(DigestOf(1), EntryWith("x"), kNow));
  tier.Resize(100 * kMiB);
  EXPECT_EQ(tier.allowed_bytes(), 4 * kMiB) << "never more than it was made for";
  EXPECT_GT(fill(), 3 * kMiB);
}

// Shard, bucket and fingerprint agree; one bit anywhere else does not.
TEST_P(MemoryTierTest, K_17_TheWholeDigestIsCompared) {
  MemoryTier tier(Options(kMiB, GetParam(), 8));
  const Digest mine = DigestOf(1);
  tier.Insert(mine, EntryWith("mine", 1), kNow);
  for (std::size_t bit = 0; bit < 256; ++bit) {
    Digest theirs = mine;
    theirs.bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
    ASSERT_FALSE(tier.Find(theirs, kNow)) << bit;
  }
  EXPECT_TRUE(tier.Find(mine, kNow));
}

TEST_P(MemoryTierTest, K_11_TtlAndClockSteps) {
  constexpr std::int64_t kHour = 3600 * kSecondUs;
  constexpr std::int64_t kTtl = 300 * kSecondUs;
  struct Row {
    std::int64_t ttl_us, asked_after_us;
    bool stored, found;
  };
  const Row rows[] = {
      {kTtl, 0, true, true},
      {kTtl, kTtl - 1, true, true},
      {kTtl, kTtl, true, false},
      {kTtl, kTtl + 1, true, false},
      {0, 0, false, false},
      {-1, 0, false, false},
      {kTtl, kHour, true, false},
      {kTtl, -kHour, true, false},
      {1, 0, true, true},
      {kTtl, -30 * kSecondUs, true, true},  // clocks of other machines differ by less than a minute
  };
  for (const Row& row : rows) {
    MemoryTier tier(Options(kMiB, GetParam()));
    Entry entry = EntryWith("an answer");
    entry.expires_at = After(row.ttl_us);
    EXPECT_EQ(tier.Insert(DigestOf(1), entry, kNow), row.stored);
    EXPECT_EQ(tier.Find(DigestOf(1), After(row.asked_after_us)).has_value(), row.found) << row.asked_after_us;
    EXPECT_EQ(tier.Use().entries, row.found ? 1u : 0u) << "removed when met";
    EXPECT_EQ(tier.Find(DigestOf(1), kNow).has_value(), row.found) << "the clock set back does not revive it";
  }
}

TEST_P(MemoryTierTest, HoldsNoMoreThanItsSize) {
  for (const std::uint64_t size : {64 * 1024, 1024 * 1024}) {
    MemoryTier tier(Options(size, GetParam()));
    Prng prng(size);
    for (std::uint64_t i = 0; i < 10'000; ++i) {
      const std::uint64_t tenant = prng.Below(50);
      tier.Insert(DigestOf(prng.Below(5000)), EntryWith(TextOf(16 + prng.Below(4000), i), tenant), kNow);
      if (i % 3 == 0) tier.Find(DigestOf(prng.Below(5000)), kNow);
      ASSERT_LE(tier.Use().bytes, size) << i;
    }
    EXPECT_GT(tier.Use().bytes, size * 8 / 10) << "and uses it";
    EXPECT_GT(tier.Use().evictions, 0u);
  }
}

TEST_P(MemoryTierTest, AnEntryLargerThanHalfAShardIsRefused) {
  MemoryTier tier({.size_bytes = kMiB, .shards = 1, .policy = GetParam(), .compress_after = SIZE_MAX});
  tier.Insert(DigestOf(1), EntryWith("small"), kNow);
  EXPECT_FALSE(tier.Insert(DigestOf(1), EntryWith(std::string(kMiB / 2, 'x')), kNow));
  EXPECT_FALSE(tier.Find(DigestOf(1), kNow)) << "what it would have replaced is out of date";
  EXPECT_TRUE(tier.Insert(DigestOf(2), EntryWith(std::string(kMiB / 3, 'x')), kNow));
}

// With the words that malloc adds; the bytes' own reference count is overhead too.
TEST_P(MemoryTierTest, AnEntryCostsAtMost200BytesBesideItsOwn) {
  constexpr std::uint64_t kEntries = 50'000;
  constexpr std::size_t kBytes = 1000;
  MemoryTier tier(Options(2 * kEntries * kBytes / 4, GetParam()));
  const std::uint64_t empty = tier.Use().bytes;
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    tier.Insert(DigestOf(i), EntryWith(std::string(kBytes, 'x'), 1 + i % 4), kNow);
    if (i % 4 == 0) tier.Find(DigestOf(i), kNow);
  }
  const MemoryUse use = tier.Use();
  ASSERT_GT(use.evictions, kEntries / 4) << "with a ghost queue";
  const double overhead = static_cast<double>(use.bytes - empty) / static_cast<double>(use.entries) - kBytes;
  EXPECT_LE(overhead, 200);
  EXPECT_GE(overhead, sizeof(Node) + SharedBytes::kHeaderBytes);
  RecordProperty("overhead_bytes", static_cast<int>(overhead));
}

TEST_P(MemoryTierTest, CountsAtLeastWhatItAllocates) {
  MemoryTier tier(Options(64 * kMiB, GetParam()));
  const std::uint64_t held = tier.Use().bytes;
  const std::uint64_t allocated = AllocatedBytesSoFar();
  for (std::uint64_t i = 0; i < 10'000; ++i)
    tier.Insert(DigestOf(i), EntryWith("some sixty bytes of an answer that is short", i), kNow);
  const std::uint64_t counted = tier.Use().bytes - held;
  // Growing vectors allocate what they free again: the tables are less than a tenth.
  EXPECT_GE(counted, (AllocatedBytesSoFar() - allocated) * 9 / 10);
}

TEST_P(MemoryTierTest, AHitAllocatesNothing) {
  MemoryTier tier(Options(4 * kMiB, GetParam(), 4));
  for (std::uint64_t i = 0; i < 1000; ++i) tier.Insert(DigestOf(i), EntryWith(TextOf(1000, i)), kNow);
  tier.Insert(DigestOf(5000), EntryWith(TextOf(200'000, 1)), kNow);
  for (int i = 0; i < 3; ++i) tier.Find(DigestOf(5000), kNow);  // hot: kept uncompressed from now on
  std::uint64_t before = AllocationsSoFar();
  tier.Insert(DigestOf(2000), EntryWith("x"), kNow);
  ASSERT_GE(AllocationsSoFar() - before, 2u) << "they are counted";
  before = AllocationsSoFar();
  std::size_t bytes = 0;
  for (std::uint64_t i = 0; i < 10'000; ++i) bytes += tier.Find(DigestOf(i % 1000), kNow)->bytes.size();
  bytes += tier.Find(DigestOf(5000), kNow)->bytes.size();
  EXPECT_EQ(AllocationsSoFar() - before, 0u);
  EXPECT_EQ(bytes, 10'000u * 1000 + 200'000);
}

TEST_P(MemoryTierTest, ALargeEntryIsCompressedWhileCold) {
  MemoryTier tier(Options(4 * kMiB, GetParam()));
  const std::string text = TextOf(400'000, 1);
  tier.Insert(DigestOf(1), EntryWith(text), kNow);
  const std::uint64_t cold = tier.Use().bytes;
  EXPECT_LT(cold, text.size() / 2);
  EXPECT_EQ(tier.Find(DigestOf(1), kNow)->bytes.view(), text);
  EXPECT_EQ(tier.Use().bytes, cold) << "one hit proves nothing";
  const auto second = tier.Find(DigestOf(1), kNow);
  EXPECT_EQ(second->bytes.view(), text);
  EXPECT_GE(tier.Use().bytes, cold + text.size());
  EXPECT_EQ(tier.Find(DigestOf(1), kNow)->bytes.view().data(), second->bytes.view().data());
}

TEST_P(MemoryTierTest, AHotLargeEntryThatCoolsIsCompressedAgain) {
  MemoryTier tier(Options(2 * kMiB, GetParam()));
  const std::string text = TextOf(400'000, 1);
  tier.Insert(DigestOf(1), EntryWith(text), kNow);
  for (int i = 0; i < 3; ++i) tier.Find(DigestOf(1), kNow);
  ASSERT_GE(tier.Use().bytes, text.size());
  // Others come into demand until its uncompressed bytes are what has to go.
  std::uint64_t before = 0;
  std::uint64_t held = 0;
  for (std::uint64_t next = 100; next < 100'000 && held + text.size() / 2 >= before; ++next) {
    before = tier.Use().bytes;
    tier.Insert(DigestOf(next), EntryWith(std::string(1000, 'x')), kNow);
    tier.Find(DigestOf(next), kNow);
    held = tier.Use().bytes;
  }
  ASSERT_LT(held + text.size() / 2, before);
  const auto found = tier.Find(DigestOf(1), kNow);
  ASSERT_TRUE(found) << "the compressed ones stay";
  EXPECT_EQ(found->bytes.view(), text);
  EXPECT_EQ(tier.Use().bytes, held);
}

TEST(MemoryTier, BytesThatDoNotCompressAreKeptAsTheyAre) {
  MemoryTier tier(Options(4 * kMiB));
  std::string noise(100'000, '\0');
  Prng prng(1);
  for (char& c : noise) c = static_cast<char>(prng.Next());
  const Entry entry = EntryWith(noise);
  tier.Insert(DigestOf(1), entry, kNow);
  EXPECT_EQ(tier.Find(DigestOf(1), kNow)->bytes.view().data(), entry.bytes.view().data());
}

TEST(MemoryTier, CompressAfterIsABoundary) {
  for (const auto& [size, compressed] :
       {std::pair{1000, false}, {1001, true}, {1024 * 1024, true}, {1024 * 1024 + 1, false}}) {
    MemoryTier tier({.size_bytes = 16 * kMiB, .shards = 1, .compress_after = 1000});
    const Entry entry = EntryWith(TextOf(static_cast<std::size_t>(size), 1));
    tier.Insert(DigestOf(1), entry, kNow);
    const auto found = tier.Find(DigestOf(1), kNow);
    EXPECT_EQ(found->bytes.view(), entry.bytes.view());
    EXPECT_EQ(found->bytes.view().data() != entry.bytes.view().data(), compressed) << size;
  }
}

TEST_P(MemoryTierTest, ClearRemovesItsScopeAndNothingElse) {
  struct Row {
    PurgeScope scope;
    std::size_t removed;
  };
  const Row rows[] = {{{}, 6000},
                      {{.tenant = 1, .model = {}}, 3000},
                      {{.tenant = {}, .model = 2}, 2000},
                      {{.tenant = 0, .model = 1}, 1000},
                      {{.tenant = 9, .model = {}}, 0}};
  for (const Row& row : rows) {
    MemoryTier tier(Options(16 * kMiB, GetParam(), 2));
    for (std::uint64_t i = 0; i < 6000; ++i) tier.Insert(DigestOf(i), EntryWith("x", i % 2, i % 3), kNow);
    EXPECT_EQ(tier.Clear(row.scope), row.removed);
    EXPECT_EQ(tier.Use().entries, 6000 - row.removed);
    for (std::uint64_t i = 0; i < 6000; ++i) {
      const bool inside = row.scope.tenant.value_or(i % 2) == i % 2 && row.scope.model.value_or(i % 3) == i % 3;
      ASSERT_EQ(tier.Find(DigestOf(i), kNow).has_value(), !inside) << i;
    }
  }
}

TEST_P(MemoryTierTest, CountsPerTenant) {
  MemoryTier tier(Options(4 * kMiB, GetParam(), 4));
  for (std::uint64_t i = 0; i < 100; ++i) tier.Insert(DigestOf(i), EntryWith("x", i < 30 ? 1 : 2), kNow);
  for (std::uint64_t i = 0; i < 40; ++i) tier.Find(DigestOf(i), kNow);
  tier.Find(DigestOf(1000), kNow);
  const auto tenants = tier.TenantsUse();
  ASSERT_EQ(tenants.size(), 2u);
  EXPECT_EQ(tenants[0].use.entries, 30u);
  EXPECT_EQ(tenants[0].use.hits, 30u);
  EXPECT_EQ(tenants[1].use.entries, 70u);
  EXPECT_EQ(tenants[1].use.hits, 10u);
  EXPECT_EQ(tier.Use().hits, 40u);
  EXPECT_EQ(tier.Use().misses, 1u);
}

// Tenants that come and go leave no records behind for ever.
TEST_P(MemoryTierTest, ManyTenantsStayWithinTheSize) {
  MemoryTier tier(Options(256 * 1024, GetParam()));
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    tier.Insert(DigestOf(i), EntryWith("x", i), kNow);
    ASSERT_LE(tier.Use().bytes, 256u * 1024);
  }
  EXPECT_TRUE(tier.Find(DigestOf(19'999), kNow));
}

/// Four tenants with Zipf traffic over 500 prompts of 1 KiB each, in a cache that holds `percent` of them; then one
/// more tenant sends a million prompts that nobody repeats, ten to each request of theirs.
class Flood {
 public:
  Flood(Eviction policy, unsigned percent)
      : tier_(Options(kTenants * kPrompts * (kBytes + 184) * percent / 100, policy)) {
    for (std::size_t i = 0; i < kPrompts; ++i) ranks_.push_back(sum_ += std::pow(static_cast<double>(i + 1), -0.9));
  }
  double HitRatio(int requests, int flood_per_request) {
    int hits = 0;
    for (int i = 0; i < requests; ++i) {
      const std::uint64_t tenant = prng_.Below(kTenants);
      const auto rank = std::ranges::lower_bound(ranks_, prng_.Uniform() * sum_) - ranks_.begin();
      hits += Ask(tenant * kPrompts + static_cast<std::uint64_t>(rank), tenant);
      for (int n = 0; n < flood_per_request; ++n) Ask(next_++, kTenants);
    }
    return static_cast<double>(hits) / requests;
  }

 private:
  static constexpr std::uint64_t kTenants = 4;
  static constexpr std::size_t kPrompts = 500;
  static constexpr std::size_t kBytes = 1024;
  bool Ask(std::uint64_t prompt, std::uint64_t tenant) {
    if (tier_.Find(DigestOf(prompt), kNow)) return true;
    Entry entry = answer_;
    entry.bytes = SharedBytes::Copy(answer_.bytes.view());
    entry.scope.tenant = tenant;
    tier_.Insert(DigestOf(prompt), std::move(entry), kNow);
    return false;
  }

  MemoryTier tier_;
  const Entry answer_ = EntryWith(std::string(kBytes, 'x'));
  std::vector<double> ranks_;
  double sum_ = 0;
  Prng prng_{3};
  std::uint64_t next_ = 1'000'000;
};

TEST_P(MemoryTierTest, K_16_AFloodByOneTenantCostsTheOthersAtMostATenth) {
  // A million for the policy that everybody uses; the rest is decided long before.
  const bool whole = GetParam() == Eviction::kS3Fifo;
  for (const unsigned percent : {20u, 50u, 110u}) {
    Flood flood(GetParam(), percent);
    flood.HitRatio(10'000, 0);
    const double before = flood.HitRatio(10'000, 0);
    const double during = flood.HitRatio(percent == 50 && whole ? 100'000 : 10'000, 10);
    RecordProperty(std::to_string(percent), std::to_string(before) + " -> " + std::to_string(during));
    EXPECT_GE(during, 0.9 * before) << percent << " %: " << before << " -> " << during;
  }
}

TEST(MemoryTier, ShardsFitTheSizeAndTheWorkers) {
  EXPECT_EQ(MemoryShardsFor(4ull << 30, 2, 2 * kMiB), 8u);
  EXPECT_EQ(MemoryShardsFor(4ull << 30, 3, 2 * kMiB), 16u);
  EXPECT_EQ(MemoryShardsFor(64 * kMiB, 16, 2 * kMiB), 4u);
  EXPECT_EQ(MemoryShardsFor(kMiB, 16, 2 * kMiB), 1u);
  EXPECT_EQ(MemoryShardsFor(UINT64_MAX, 1000, 2 * kMiB), kMemoryShardsMax);
  EXPECT_EQ(MemoryTier(Options(kMiB, Eviction::kS3Fifo, 3)).shards(), 4u);
}

// For TSan, and for an answer that is never another's.
TEST_P(MemoryTierTest, ThreadsSeeWholeAnswers) {
  MemoryTier tier({.size_bytes = 512 * 1024, .shards = 2, .policy = GetParam(), .compress_after = 4096});
  std::vector<std::thread> threads;
  std::vector<std::uint64_t> wrong(4);
  std::vector<std::string> texts;
  for (std::uint64_t number = 0; number < 300; ++number) texts.push_back(TextOf(20 + number * 40, number));
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&tier, &wrong, &texts, t] {
      Prng prng(t);
      for (int i = 0; i < 2000; ++i) {
        const std::uint64_t number = prng.Below(300);
        const std::string& text = texts[number];
        const auto found = tier.Find(DigestOf(number), kNow);
        if (found && found->bytes.view() != text) ++wrong[t];
        if (!found) tier.Insert(DigestOf(number), EntryWith(text, number % 5, number % 3), kNow);
        if (i % 500 == 0) tier.Clear({.tenant = prng.Below(5), .model = {}});
        if (i % 100 == 0) tier.Erase(DigestOf(number));
        if (i % 250 == 0) tier.TenantsUse();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<std::uint64_t>(4, 0));
  EXPECT_LE(tier.Use().bytes, 512u * 1024);
}

}  // namespace
}  // namespace penstock::cache
