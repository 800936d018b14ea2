#include "penstock/cache/disk_tier.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "unit/cache/disk_world.hpp"

namespace penstock::cache {
namespace {

using test::DiskWorld;
using test::KeyOf;
using test::kSecondUs;
using test::kStartUs;

struct DiskTiers : testing::Test, DiskWorld {
  void SetUp() override { ASSERT_EQ(Open(), ""); }

  /// How many of the first `count` entries are there; each must be right.
  std::uint64_t CountFound(std::uint64_t count, std::size_t size) {
    std::uint64_t found = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto entry = Find(i);
      EXPECT_TRUE(Right(i, size, entry)) << i;
      found += entry ? 1 : 0;
    }
    return found;
  }
};

TEST_F(DiskTiers, ReadsWhatItWroteBeforeAndAfterTheCommit) {
  for (const std::size_t size : {0u, 1u, 31u, 32u, 1000u, 8192u, 300'000u}) {
    ASSERT_TRUE(Store(size, size));
    for (int i = 0; i < 2; ++i) {
      const auto entry = Find(size);
      ASSERT_TRUE(entry) << size;
      EXPECT_TRUE(Right(size, size, entry)) << size;
      EXPECT_EQ(entry->stored_at.us, kStartUs);
      EXPECT_EQ(entry->expires_at.us, kStartUs + 3600 * kSecondUs);
      tier->Drain();
    }
  }
  EXPECT_FALSE(Find(999));
  EXPECT_EQ(tier->Stats().stored, 7u);
  EXPECT_EQ(tier->Stats().entries, 7u);
  EXPECT_EQ(tier->Stats().misses, 1u);
}

TEST_F(DiskTiers, TheNewestOfAKeyIsFoundAndCountsOnce) {
  Store(1, 5000);
  tier->Drain();
  wall_us += kSecondUs;
  Store(1, 100);
  for (int i = 0; i < 2; ++i) {
    const auto entry = Find(1);
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->bytes.size(), 100u);
    EXPECT_EQ(entry->stored_at.us, kStartUs + kSecondUs);
    tier->Drain();
  }
  EXPECT_EQ(tier->Stats().entries, 1u);
}

TEST_F(DiskTiers, K_01_AnotherTenantsOrModelsScopeIsAMiss) {
  Store(12, 100);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Find(12, {2, 5}, Wall()));
    EXPECT_FALSE(Find(12, {3, 5}, Wall()));
    EXPECT_FALSE(Find(12, {2, 4}, Wall()));
    tier->Drain();
  }
}

TEST_F(DiskTiers, ARestartKeepsEntriesAndEpochs) {
  for (std::uint64_t i = 0; i < 200; ++i) Store(i, 1000 + i);
  tier->RaiseEpoch("tenant:a", 7, nullptr);
  tier->RaiseEpoch("tenant:a", 3, nullptr);
  ASSERT_EQ(Open(), "");  // a clean stop: what was queued is there
  EXPECT_EQ(tier->Stats().entries, 200u);
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto entry = Find(i);
    ASSERT_TRUE(entry) << i;
    EXPECT_TRUE(Right(i, 1000 + i, entry)) << i;
  }
  EXPECT_EQ(tier->Epochs(), (std::map<std::string, std::uint64_t>{{"tenant:a", 7}}));
}

TEST_F(DiskTiers, AStopThatTakesTooLongDropsWhatIsQueuedAndCountsIt) {
  const auto step_ns = std::chrono::nanoseconds(DiskTier::kStopMax).count();
  DiskOptions options;
  options.path = folder.Path("slow");
  options.size = 64u << 20;
  options.wall = [this] { return Wall(); };
  std::atomic<bool> leap{false};
  options.now = [&] { return TimePoint{leap ? now_ns += step_ns : now_ns.load()}; };
  auto slow = DiskTier::Open(std::move(options));
  ASSERT_TRUE(slow.has_value());
  leap = true;  // every look at the clock is a stop's whole time later
  std::uint64_t taken = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) taken += (*slow)->Store(KeyOf(i), test::EntryOf(i, 5000, Wall())) ? 1 : 0;
  (*slow)->Stop();
  const DiskStats stats = (*slow)->Stats();
  EXPECT_EQ(stats.stored + stats.dropped_off, taken);
  EXPECT_FALSE((*slow)->Store(KeyOf(1), test::EntryOf(1, 10, Wall())));
  EXPECT_FALSE((*slow)->Find(KeyOf(1), {1, 1}, Wall(), worker, [](std::optional<Entry>) {}));
}

TEST_F(DiskTiers, RemovalAnswersWhatItTookAndHoldsAtOnce) {
  Store(1, 100);
  tier->Drain();
  std::vector<std::optional<std::uint64_t>> answers;
  const auto note = [&](std::optional<std::uint64_t> removed) { answers.push_back(removed); };
  tier->Remove(KeyOf(1), note);
  EXPECT_FALSE(Find(1));
  tier->Remove(KeyOf(1), note);
  tier->Drain();
  EXPECT_FALSE(Find(1));
  Store(1, 100);
  EXPECT_TRUE(Find(1));
  tier->Drain();
  EXPECT_TRUE(Find(1));
  tier->Stop();
  tier->Remove(KeyOf(1), note);
  EXPECT_EQ(answers, (std::vector<std::optional<std::uint64_t>>{1, 0, std::nullopt}));
}

TEST_F(DiskTiers, ClearingTakesATenantAModelOrAll) {
  constexpr std::uint64_t kCount = 3 * 1024 + 5;  // several steps
  struct Case {
    std::optional<std::uint64_t> tenant, model;
  };
  for (const Case& wanted : {Case{2, {}}, Case{{}, 3}, Case{4, 6}, Case{{}, {}}}) {
    tier->Clear({}, {}, nullptr);
    for (std::uint64_t i = 0; i < kCount; ++i) {
      Store(i, 10);
      if (i % 1024 == 0) tier->Drain();
    }
    std::optional<std::uint64_t> removed;
    tier->Clear(wanted.tenant, wanted.model, [&](std::optional<std::uint64_t> count) { removed = count; });
    tier->Drain();
    std::uint64_t gone = 0;
    for (std::uint64_t i = 0; i < kCount; ++i) {
      const bool taken = (!wanted.tenant || *wanted.tenant == i % 5) && (!wanted.model || *wanted.model == i % 7);
      gone += taken ? 1 : 0;
      EXPECT_EQ(Find(i).has_value(), !taken) << i;
    }
    EXPECT_EQ(removed, gone);
    EXPECT_EQ(tier->Stats().entries, kCount - gone);
  }
}

TEST_F(DiskTiers, EpochsRiseAndSurviveAClearing) {
  std::optional<std::uint64_t> kept;
  tier->RaiseEpoch("model:m", 5, [&](std::optional<std::uint64_t> value) { kept = value; });
  EXPECT_EQ(tier->Epochs().at("model:m"), 5u);
  tier->Drain();
  EXPECT_EQ(kept, 5u);
  tier->Clear({}, {}, nullptr);
  tier->Drain();
  ASSERT_EQ(Open(), "");
  EXPECT_EQ(tier->Epochs().at("model:m"), 5u);
}

TEST_F(DiskTiers, K_11_ExpiryIsExactAndSurvivesClockSteps) {
  constexpr std::int64_t kTtl = 100 * kSecondUs, kHour = 3600 * kSecondUs;
  Store(1, 100, kTtl);
  Store(2, 100, 0);
  for (int i = 0; i < 2; ++i) {  // once from the queue, once from the disk
    const Scope one{1, 1}, two{2, 2};
    EXPECT_TRUE(Find(1, one, {kStartUs}));
    EXPECT_TRUE(Find(1, one, {kStartUs + kTtl - 1}));
    EXPECT_FALSE(Find(1, one, {kStartUs + kTtl}));
    EXPECT_FALSE(Find(1, one, {kStartUs + kHour}));
    EXPECT_FALSE(Find(1, one, {kStartUs - kHour}));  // from the future: the clock went back
    EXPECT_TRUE(Find(1, one, {kStartUs + 1}));
    EXPECT_FALSE(Find(2, two, {kStartUs}));
    if (i == 0) tier->Drain();
  }
  ASSERT_EQ(Open(), "");
  EXPECT_TRUE(Find(1, {1, 1}, {kStartUs + kTtl - 1}));
  EXPECT_FALSE(Find(1, {1, 1}, {kStartUs + kTtl}));
}

TEST_F(DiskTiers, K_11_TheSweepRemovesWhatExpiredAndNothingElse) {
  for (std::uint64_t i = 0; i < 300; ++i) Store(i, 1000, i < 200 ? 10 * kSecondUs : 20 * kSecondUs);
  tier->Drain();
  wall_us += 10 * kSecondUs - 1;
  tier->Drain();
  EXPECT_EQ(tier->Stats().entries, 300u);
  wall_us += 1;
  tier->Drain();
  EXPECT_EQ(tier->Stats().entries, 100u);
  EXPECT_EQ(tier->Stats().expired, 200u);
  wall_us += 10 * kSecondUs;
  tier->Drain();
  EXPECT_EQ(tier->Stats().entries, 0u);
}

TEST_F(DiskTiers, TheCapHoldsAndTheLongestUnusedGoesFirst) {
  constexpr std::uint64_t kSize = 8u << 20, kBody = 20'000;
  ASSERT_EQ(Open(kSize), "");
  for (std::uint64_t i = 0; i < 100; ++i) Store(i, kBody);
  tier->Drain();
  ASSERT_EQ(CountFound(100, kBody), 100u);
  wall_us += 2 * DiskTier::kTouchEveryS * kSecondUs;
  for (std::uint64_t i = 0; i < 50; ++i) EXPECT_TRUE(Find(i));  // these are in use
  tier->Drain();
  for (std::uint64_t i = 100; i < 400; ++i) {
    wall_us += kSecondUs;
    Store(i, kBody);
    if (i % 10 == 9) tier->Drain();
    if (i == 389) {
      // Those not used since have made room; those in use are all there.
      EXPECT_EQ(CountFound(50, kBody), 50u);
      EXPECT_FALSE(Find(50));
    }
  }
  tier->Drain();
  EXPECT_TRUE(Right(399, kBody, Find(399)));
  EXPECT_TRUE(Find(399));
  const DiskStats stats = tier->Stats();
  EXPECT_EQ(stats.stored, 400u);
  EXPECT_GT(stats.evicted, 0u);
  EXPECT_EQ(stats.entries, 400 - stats.evicted);
  EXPECT_LE(stats.bytes, kSize);
  EXPECT_GT(stats.bytes, kSize / 2);
  std::uint64_t on_disk = 0;
  for (const auto& file : std::filesystem::directory_iterator(Home())) on_disk += file.file_size();
  EXPECT_LE(on_disk, kSize + (64u << 10));  // the log's index beside
}

TEST_F(DiskTiers, ALoweredCapIsReachedAndTheFileShrinks) {
  ASSERT_EQ(Open(16u << 20), "");
  for (std::uint64_t i = 0; i < 400; ++i) {
    Store(i, 30'000);
    if (i % 100 == 99) tier->Drain();
  }
  ASSERT_EQ(Open(8u << 20), "");
  for (int i = 0; i < 8; ++i) tier->Drain();
  EXPECT_LE(tier->Stats().bytes, 8u << 20);
  EXPECT_EQ(tier->Stats().begun_anew, 0u);
  Store(1000, 30'000);
  tier->Drain();
  EXPECT_TRUE(Find(1000));
  tier->Stop();
  EXPECT_LE(std::filesystem::file_size(Database()), 9u << 20);
}

TEST_F(DiskTiers, WhatCouldNeverFitIsDroppedAndCounted) {
  ASSERT_EQ(Open(kDiskSizeMin), "");
  EXPECT_FALSE(Store(1, 2u << 20));
  EXPECT_EQ(tier->Stats().dropped_size, 1u);
}

TEST_F(DiskTiers, FullQueuesDropAndMissAtOnce) {
  // The writer is held in a callback, so that nothing leaves its queue.
  std::mutex held;
  held.lock();
  std::atomic<bool> in{false};
  tier->Remove(KeyOf(1), [&](std::optional<std::uint64_t>) {
    in = true;
    const std::lock_guard wait(held);
  });
  while (!in) std::this_thread::yield();
  std::uint64_t taken = 0, dropped = 0;
  for (std::uint64_t i = 0; i < DiskTier::kWriteQueueMax + 100; ++i) (Store(i, 10) ? taken : dropped) += 1;
  EXPECT_EQ(taken, DiskTier::kWriteQueueMax);
  EXPECT_EQ(dropped, 100u);
  EXPECT_EQ(tier->Stats().dropped_queue, 100u);
  tier->Remove(KeyOf(2), nullptr);  // removals have a reserve
  EXPECT_FALSE(Find(2));
  held.unlock();
  tier->Drain();
  EXPECT_EQ(tier->Stats().stored, DiskTier::kWriteQueueMax);
}

TEST_F(DiskTiers, TheWritersQueueIsBoundedInBytes) {
  std::mutex held;
  held.lock();
  std::atomic<bool> in{false};
  tier->Remove(KeyOf(1), [&](std::optional<std::uint64_t>) {
    in = true;
    const std::lock_guard wait(held);
  });
  while (!in) std::this_thread::yield();
  Entry large = test::EntryOf(0, 8u << 20, Wall());
  std::uint64_t taken = 0;
  for (std::uint64_t i = 0; i < 20; ++i) taken += tier->Store(KeyOf(i), large) ? 1 : 0;
  EXPECT_EQ(taken, DiskTier::kWriteQueueBytesMax / (8u << 20));
  held.unlock();
  tier->Drain();  // the callback has let go of the mutex
}

TEST_F(DiskTiers, LookupsLeftAtTheStopAreAnsweredOnce) {
  for (std::uint64_t i = 0; i < 50; ++i) Store(i, 50'000);
  tier->Drain();
  std::uint64_t asked = 0, heard = 0;
  for (std::uint64_t i = 0; i < 3 * DiskTier::kReadQueueMax; ++i) {
    const std::uint64_t number = i % 50;
    asked +=
        tier->Find(KeyOf(number), {number % 5, number % 7}, Wall(), worker, [&](std::optional<Entry>) { ++heard; });
  }
  tier->Stop();
  worker.RunTurn();
  EXPECT_EQ(heard, asked);
  EXPECT_EQ(tier->Stats().reads_refused, 3 * DiskTier::kReadQueueMax - asked);
  EXPECT_EQ(tier->Stats().hits + tier->Stats().misses, 3 * DiskTier::kReadQueueMax);
}

}  // namespace
}  // namespace penstock::cache
