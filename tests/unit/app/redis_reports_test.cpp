#include "app/redis_reports.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/temporary_folder.hpp"

namespace penstock::app {
namespace {

using cache::RedisTrouble;

constexpr WallTime kNow{1'700'000'000'000'000};

cache::Entry AnEntry() {
  cache::Entry entry;
  entry.bytes = SharedBytes::Copy("{}");
  entry.stored_at = kNow;
  entry.expires_at = {kNow.us + 1'000'000};
  return entry;
}

// Each worker's tier, and the listener, tells of the same servers.
TEST(RedisReports, R_04_AServersStateIsSaidOnceWhoeverHasSeenIt) {
  cache::SharedCache cache;
  std::vector<std::pair<std::string, RedisTrouble>> said;
  RedisReports reports(cache, [&](std::string server, RedisTrouble trouble) { said.emplace_back(server, trouble); });
  for (const RedisTrouble trouble : {RedisTrouble::kNone, RedisTrouble::kHung, RedisTrouble::kNone}) {
    for (int worker = 0; worker < 4; ++worker) {
      reports.OnRedisServer("a:1", trouble);
      reports.OnRedisServer("b:2", RedisTrouble::kNone);
    }
  }
  EXPECT_EQ(said, (std::vector<std::pair<std::string, RedisTrouble>>{{"a:1", RedisTrouble::kNone},
                                                                     {"b:2", RedisTrouble::kNone},
                                                                     {"a:1", RedisTrouble::kHung},
                                                                     {"a:1", RedisTrouble::kNone}}));
}

TEST(RedisReports, K_18_AKeyThatOthersPurgedIsNowhereHere) {
  const test::TemporaryFolder folder;
  cache::SharedCache cache;
  cache.memory = std::make_unique<cache::MemoryTier>(cache::MemoryOptions{.size_bytes = 8 << 20, .shards = 1});
  cache::DiskOptions options;
  options.path = folder.Path("cache");
  options.size = 64 << 20;
  options.now = [] { return TimePoint{1}; };
  options.wall = [] { return kNow; };
  auto opened = cache::DiskTier::Open(std::move(options));
  ASSERT_TRUE(opened.has_value());
  cache.disk = std::move(*opened);
  const Digest purged = Sha256::Of("purged"), other = Sha256::Of("other");
  for (const Digest& digest : {purged, other}) {
    cache.memory->Insert(digest, AnEntry(), kNow);
    EXPECT_TRUE(cache.disk->Store(digest, AnEntry()));
  }
  cache.disk->Drain();
  const auto call = cache.flights.Join(purged).flight;

  RedisReports reports(cache, [](const std::string&, RedisTrouble) {});
  reports.OnPurgedKey(purged);
  EXPECT_EQ(cache.key_purges.load(), 1u) << "for look-ups and stores that are under way";
  EXPECT_TRUE(call->forbidden()) << "its answer is not kept";
  EXPECT_TRUE(cache.flights.Join(purged).leader) << "and nobody joins it";
  EXPECT_FALSE(cache.memory->Find(purged, kNow));
  EXPECT_TRUE(cache.memory->Find(other, kNow));
  cache.disk->Drain();
  EXPECT_EQ(cache.disk->Stats().entries, 1u);
}

}  // namespace
}  // namespace penstock::app
