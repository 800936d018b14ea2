// The tiers as one: what a purge does to look-ups and stores that are under way, and what a disk that hangs costs.

#include "penstock/cache/tiers.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "unit/cache/disk_world.hpp"
#include "unit/cache/faulty_disk.hpp"
#include "unit/cache/redis_world.hpp"

namespace penstock::cache {
namespace {

using test::DeviceFault;

constexpr std::uint64_t kMiB = 1024 * 1024;

std::unique_ptr<MemoryTier> MakeMemory() {
  return std::make_unique<MemoryTier>(MemoryOptions{.size_bytes = 8 * kMiB, .shards = 1});
}

/// A look-up below the memory, and what came of it.
struct Below {
  std::optional<Found> found;
  bool done = false;
  rt::Task<void> task;
};

std::unique_ptr<Below> FindBelow(Tiers& tiers, const CacheKey& key, WallTime now) {
  auto run = [](Below& into, Tiers& in, CacheKey which, WallTime at) -> rt::Task<void> {
    into.found = co_await in.FindBelow(which, at);
    into.done = true;
  };
  auto below = std::make_unique<Below>();
  below->task = run(*below, tiers, key, now);
  below->task.Start();
  return below;
}

class TiersWithRedis : public RedisWorld {
 protected:
  TiersWithRedis() { shared.memory = MakeMemory(); }

  rt::OffloadThreads offload{1};
  SharedCache shared;
};

TEST_F(TiersWithRedis, K_18_WhatIsBeingReadWhenItsKeyIsPurgedIsNotServed) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Tiers tiers(worker, offload, shared, tier.get());
  Store(1);
  Pass(5ms);
  server.delay = 5ms;
  const CacheKey key{DigestOf(1), scope};
  for (const bool purged : {true, false}) {
    const auto below = FindBelow(tiers, key, wall);
    Pass(2ms);
    ASSERT_FALSE(below->done);
    if (purged) shared.key_purges.fetch_add(1);
    ASSERT_TRUE(Until([&] { return below->done; }));
    EXPECT_EQ(below->found.has_value(), !purged);
    EXPECT_EQ(shared.memory->Find(key.digest, wall).has_value(), !purged) << "the memory is filled with what is served";
  }
}

struct TiersWithDisk : testing::Test, test::DiskWorld {
  static constexpr Scope kScope{1, 1};  // of number 1

  TiersWithDisk() { shared.memory = MakeMemory(); }
  ~TiersWithDisk() override {
    disk.Set(DeviceFault::kNone);
    shared.disk.reset();
  }
  penstock::test::ManualLoop& Loop() { return static_cast<penstock::test::ManualLoop&>(worker.loop()); }
  /// With number 1 on the disk and in no page cache.
  void OpenWithOne() {
    ASSERT_EQ(Open(), "");
    Store(1, 1000);
    ASSERT_EQ(Open(), "");
    shared.disk = std::move(tier);
  }
  void Finish(const Below& below) {
    while (!below.done) {
      Loop().WaitForWake();
      worker.RunTurn();
    }
  }
  bool InMemory() { return shared.memory->Find(key.digest, Wall()).has_value(); }

  test::FaultyDisk disk;
  SharedCache shared;
  rt::OffloadThreads offload{1};
  Tiers tiers{worker, offload, shared, nullptr};
  const CacheKey key{test::KeyOf(1), kScope};
};

TEST_F(TiersWithDisk, K_18_WhatIsBeingReadWhenItsKeyIsPurgedIsNotServed) {
  OpenWithOne();
  for (const bool purged : {true, false}) {
    disk.Set(DeviceFault::kHang);
    const auto below = FindBelow(tiers, key, Wall());
    ASSERT_FALSE(below->done);
    if (purged) shared.key_purges.fetch_add(1);
    disk.Set(DeviceFault::kNone);
    Finish(*below);
    EXPECT_EQ(below->found.has_value(), !purged);
    EXPECT_EQ(InMemory(), !purged);
  }
}

TEST_F(TiersWithDisk, K_18_WhatCouldNotBeRemovedIsNotServed) {
  OpenWithOne();
  const std::uint64_t heard = test::EntryOf(1, 1000, Wall()).purges_heard;
  for (const bool purged : {false, true}) {
    shared.memory->Erase(key.digest);
    shared.redis_purges.keys().Note(key.digest, purged ? heard + 1 : heard);
    const auto below = FindBelow(tiers, key, Wall());
    Finish(*below);
    EXPECT_EQ(below->found.has_value(), !purged);
    EXPECT_EQ(InMemory(), !purged);
  }
}

TEST_F(TiersWithDisk, K_18_WhatIsBeingCompressedWhenItsKeyIsPurgedIsNotKept) {
  for (const bool purged : {true, false}) {
    std::latch go{1}, over{1};
    ASSERT_TRUE(offload.Submit([&go] { go.wait(); }));
    tiers.Store(key, test::EntryOf(1, 100'000, Wall()), Wall(), shared.key_purges.load());
    EXPECT_FALSE(InMemory()) << "on its way";
    if (purged) {
      shared.key_purges.fetch_add(1);
      EXPECT_FALSE(shared.memory->Erase(key.digest));
    }
    go.count_down();
    ASSERT_TRUE(offload.Submit([&over] { over.count_down(); }));
    over.wait();
    EXPECT_EQ(InMemory(), !purged);
  }
}

TEST_F(TiersWithDisk, K_18_WhatWasAskedForBeforeItsKeyWasPurgedIsNotKept) {
  ASSERT_EQ(Open(), "");
  shared.disk = std::move(tier);
  const std::uint64_t purges = shared.key_purges.fetch_add(1);
  tiers.Store(key, test::EntryOf(1, 1000, Wall()), Wall(), purges);
  shared.disk->Drain();
  EXPECT_FALSE(InMemory());
  EXPECT_EQ(shared.disk->Stats().stored, 0u);
  tiers.Store(key, test::EntryOf(1, 1000, Wall()), Wall(), purges + 1);
  shared.disk->Drain();
  EXPECT_TRUE(InMemory());
  EXPECT_EQ(shared.disk->Stats().stored, 1u);
}

/// Whichever is first: when both are over, nothing is there.
TEST_F(TiersWithDisk, K_18_APurgeAtTheSameTimeLeavesNothing) {
  constexpr int kRounds = 20'000;
  std::atomic<int> turn{0};
  const auto await = [&turn](int wanted) {
    while (turn.load() != wanted) std::this_thread::yield();
  };
  std::thread purger([&] {
    for (int round = 0; round < kRounds; ++round) {
      await(2 * round + 1);
      shared.key_purges.fetch_add(1);
      shared.memory->Erase(key.digest);
      turn = 2 * round + 2;
    }
  });
  const Entry entry = test::EntryOf(1, 1000, Wall());
  int left = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t purges = shared.key_purges.load();
    turn = 2 * round + 1;
    tiers.Store(key, entry, Wall(), purges);
    await(2 * round + 2);
    left += InMemory() ? 1 : 0;
  }
  purger.join();
  EXPECT_EQ(left, 0);
}

TEST_F(TiersWithDisk, R_11_ADiskThatHangsIsWaitedForOnceAndNotLong) {
  OpenWithOne();
  disk.Set(DeviceFault::kHang);
  const auto first = FindBelow(tiers, key, Wall());
  worker.RunTurn();
  EXPECT_FALSE(first->done);
  Loop().Advance(Tiers::kDiskWaitMax + 2ms);
  worker.RunTurn();
  ASSERT_TRUE(first->done);
  EXPECT_FALSE(first->found.has_value());
  const auto second = FindBelow(tiers, key, Wall());
  EXPECT_TRUE(second->done) << "one is waited for in vain: no other is begun";
  EXPECT_FALSE(second->found.has_value());
  disk.Set(DeviceFault::kNone);
  Loop().WaitForWake();
  worker.RunTurn();
  const auto third = FindBelow(tiers, key, Wall());
  Finish(*third);
  EXPECT_TRUE(third->found.has_value());
}

}  // namespace
}  // namespace penstock::cache
