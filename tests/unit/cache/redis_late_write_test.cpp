// A SET that reaches Redis behind the DEL of a purge that came later than it: sent in time, and held up on its way.

#include <gtest/gtest.h>

#include "unit/cache/redis_purge_world.hpp"

namespace penstock::cache {
namespace {

struct Delay {
  const char* name;
  Duration more;  ///< from the end of the purge until the SET arrives
};

class RedisLateWrite : public RedisPurgeWorld, public testing::WithParamInterface<Delay> {
 protected:
  /// `by`, whose way to the server is the slow one, stores number 1. The key is purged meanwhile, then the SET arrives.
  void StoreAroundAPurge(RedisTier& by, std::uint64_t knows) {
    Hold(true);
    Entry entry = EntryOf(1);
    entry.purges_heard = knows;
    by.Store(DigestOf(1), entry, wall);
    Pass(1ms);
    EXPECT_TRUE(Told(Start(tier->PurgeKey(DigestOf(1)))));
    Pass(GetParam().more);
    EXPECT_EQ(server.Count("SET"), 0);
    Hold(false);
    EXPECT_TRUE(Until([&] { return server.keys.size() == 1; })) << "what was purged is in Redis";
  }
  void Hold(bool held) { Hold(slow, held); }
  void Hold(const rt::Address& way, bool held) {
    penstock::test::LinkOptions options;
    options.black_hole = held;
    network.SetLink(way, options);
  }

  const rt::Address slow = server.AlsoAt("10.1.0.9");
  const std::string slow_url = "redis://10.1.0.9";
};

TEST_P(RedisLateWrite, K_18_OfTheSameProcess) {
  ASSERT_TRUE(OpenBoth());
  NotedEvents second_events;
  RedisTier second(worker, resolver, OptionsFor({slow_url}), purges, second_events);
  ASSERT_TRUE(Until([&] { return second.ready(); }));
  StoreAroundAPurge(second, purges.heard());
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().misses, 1u);
  ASSERT_TRUE(Until([&] { return second.ready(); }));
  EXPECT_EQ(Found(second, 1), "");
  Store(1);  // of an answer that began when the purge had been heard
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(Found(second, 1), TextOf(1));
}

TEST_P(RedisLateWrite, K_18_OfAnotherInstance) {
  ASSERT_TRUE(OpenBoth());
  EXPECT_TRUE(Told(Start(tier->PurgeKey(DigestOf(7)))));  // not the first purge in this Redis
  Instance& other = Another(slow_url);
  EXPECT_GT(other.purges.heard(), 0u) << "what was purged before it came";
  StoreAroundAPurge(*other.tier, other.purges.heard());
  Instance& newcomer = Another();
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(Found(*newcomer.tier, 1), "");
  ASSERT_TRUE(Until([&] { return other.tier->ready(); }));
  EXPECT_EQ(Found(*other.tier, 1), "");
  Entry again = EntryOf(1);
  again.purges_heard = newcomer.purges.heard();
  newcomer.tier->Store(DigestOf(1), again, wall);
  EXPECT_EQ(Found(*newcomer.tier, 1), TextOf(1));
  EXPECT_EQ(Found(*other.tier, 1), TextOf(1));
}

TEST_P(RedisLateWrite, K_18_BeforeTheListenerHearsOfThePurge) {
  const rt::Address ear = server.AlsoAt("10.1.0.8");
  Listen(OptionsFor({"redis://10.1.0.8"}));
  NotedEvents second_events;
  RedisTier second(worker, resolver, OptionsFor({slow_url}), purges, second_events);
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  ASSERT_TRUE(Until([&] { return second.ready(); }));
  Hold(ear, true);
  StoreAroundAPurge(second, purges.heard());
  EXPECT_TRUE(heard.purged.empty());
  EXPECT_EQ(Found(1), "") << "the purge was acknowledged";
  EXPECT_EQ(tier->stats().misses, 1u);
  Hold(ear, false);
  EXPECT_TRUE(Until([&] { return !heard.purged.empty(); }));
}

TEST_P(RedisLateWrite, OfAnotherKey) {
  ASSERT_TRUE(OpenBoth());
  Instance& other = Another(slow_url);
  Hold(true);
  other.tier->Store(DigestOf(1), EntryOf(1), wall);
  Pass(1ms);
  EXPECT_TRUE(Told(Start(tier->PurgeKey(DigestOf(2)))));
  Pass(GetParam().more);
  Hold(false);
  EXPECT_TRUE(Until([&] { return server.keys.size() == 1; }));
  EXPECT_EQ(Found(1), TextOf(1));
}

INSTANTIATE_TEST_SUITE_P(All, RedisLateWrite,
                         testing::Values(Delay{"InTime", 1ms}, Delay{"FromAConnectionThatWasGivenUp", 100ms}),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(PurgedKeysTest, AnEntryIsOutdatedByTheNewestPurgeOfItsKey) {
  PurgedKeys keys;
  const Digest one{{1}}, two{{2}};
  EXPECT_FALSE(keys.Outdates(one, 0));
  keys.Note(one, 10);
  keys.Note(two, 20);
  EXPECT_TRUE(keys.Outdates(one, 0));
  EXPECT_TRUE(keys.Outdates(one, 9));
  EXPECT_FALSE(keys.Outdates(one, 10));
  EXPECT_FALSE(keys.Outdates(Digest{{3}}, 0));
  keys.Note(one, 5);  // heard and read, in whatever order
  EXPECT_TRUE(keys.Outdates(one, 9));
  keys.Note(one, 30);
  EXPECT_TRUE(keys.Outdates(one, 29));
  EXPECT_TRUE(keys.Outdates(two, 19));
  EXPECT_FALSE(keys.Outdates(two, 20));
}

TEST(PurgedKeysTest, BeyondTheBoundWhatMayBeOlderIsOutdated) {
  PurgedKeys keys;
  const auto key = [](std::size_t number) {
    return Digest{{static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8)}};
  };
  for (std::size_t i = 0; i < PurgedKeys::kMax - 1; ++i) keys.Note(key(i), 1000 + i);
  const Digest other{{1, 1, 1}};
  EXPECT_FALSE(keys.Outdates(other, 0)) << "not purged, and all purges are known";
  keys.Note(key(PurgedKeys::kMax), 900);
  EXPECT_TRUE(keys.Outdates(other, 899));
  EXPECT_FALSE(keys.Outdates(other, 900));
  keys.Note(key(PurgedKeys::kMax + 1), 50'000);
  EXPECT_TRUE(keys.Outdates(key(PurgedKeys::kMax), 899)) << "the oldest is forgotten, its purge is not";
  EXPECT_TRUE(keys.Outdates(other, 999));
  EXPECT_FALSE(keys.Outdates(other, 1000));
  for (std::size_t i = 0; i < 2 * PurgedKeys::kMax; ++i) keys.Note(key(i), 60'000);  // written by hand: all the same
  EXPECT_TRUE(keys.Outdates(key(0), 59'999));
  EXPECT_FALSE(keys.Outdates(key(0), 60'000));
}

}  // namespace
}  // namespace penstock::cache
