// Purges through Redis: who hears of them, and what keeps a tier from using Redis before it obeyed them.

#include <gtest/gtest.h>

#include "cache/redis/purge_protocol.hpp"
#include "unit/cache/redis_purge_world.hpp"

namespace penstock::cache {
namespace {

std::string HexOf(const Digest& digest) {
  const DigestHex hex = ToHex(digest);
  return {hex.begin(), hex.end()};
}

using RedisPurgeTest = RedisPurgeWorld;

TEST_F(RedisPurgeTest, NothingIsUsedWhileNobodyListens) {
  Open(OptionsFor({server.url()}));
  Pass(3s);
  EXPECT_FALSE(tier->ready());
  Store(1);
  EXPECT_TRUE(Find(1).miss());
  EXPECT_EQ(server.Count("SET") + server.Count("GET"), 0);
  EXPECT_EQ(events.said, Words{});
  Listen(OptionsFor({server.url()}));
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 200ms));
  EXPECT_EQ(events.said, Words{"10.1.0.1:6379 none"});
  EXPECT_EQ(heard.said, Words{"10.1.0.1:6379 none"});
}

TEST_F(RedisPurgeTest, K_18_AnEpochIsObeyedByTheOther) {
  ASSERT_TRUE(OpenBoth());
  Instance& other = Another();
  EXPECT_TRUE(Told(PurgeEpoch(*tier, epochs, "tenant:a b")));
  EXPECT_EQ(Value("tenant:a b"), 1u);
  EXPECT_TRUE(Until([&] { return other.epochs.Of("tenant:a b").load() == 1; }, 1s));
  EXPECT_EQ(server.epochs, (std::map<std::string, std::uint64_t>{{"tenant:a b", 1}}));
  EXPECT_EQ(server.published, Words{"epoch tenant:a b 1"});
  EXPECT_FALSE(purges.owes());
}

TEST_F(RedisPurgeTest, K_18_AKeyIsErasedEverywhere) {
  ASSERT_TRUE(OpenBoth());
  Instance& other = Another();
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_TRUE(Told(Start(tier->PurgeKey(DigestOf(1)))));
  EXPECT_TRUE(server.keys.empty());
  EXPECT_TRUE(Until([&] { return other.heard.purged.size() == 1; }, 1s));
  EXPECT_EQ(other.heard.purged.front(), DigestOf(1));
  EXPECT_TRUE(server.purged.contains(HexOf(DigestOf(1))));
  EXPECT_FALSE(purges.owes());
  EXPECT_EQ(Found(1), "");
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));  // the key may be used again
}

TEST_F(RedisPurgeTest, K_18_WhatWasPurgedBeforeTheStartIsRead) {
  for (int i = 0; i < 5; ++i) server.epochs["model:" + std::to_string(i)] = 10 + i;
  for (unsigned i = 0; i < 2500; ++i) server.purged[HexOf(DigestOf(i))] = 1000 + i;
  ASSERT_TRUE(OpenBoth());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Value("model:" + std::to_string(i)), 10u + i);
  EXPECT_EQ(events.purged.size(), 2500u);
}

TEST_F(RedisPurgeTest, K_18_WhoWasDisconnectedObeysBeforeItUsesRedis) {
  ASSERT_TRUE(OpenBoth());
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  server.purged[HexOf(DigestOf(7))] = 1000;
  server.Kill();
  Pass(1500ms);
  EXPECT_FALSE(tier->ready());
  server.epochs = {{"all", 3}, {"tenant:t", 9}};
  server.purged[HexOf(DigestOf(8))] = 2000;
  server.Start();
  while (!tier->ready()) {
    EXPECT_TRUE(Find(1).miss());
    worker.RunTurn();
  }
  EXPECT_EQ(server.Count("GET"), 1) << "used before the epochs were read";
  EXPECT_EQ(Value("all"), 3u);
  EXPECT_EQ(Value("tenant:t"), 9u);
  EXPECT_EQ(events.purged, (std::vector<Digest>{DigestOf(8), DigestOf(7)}));
}

TEST_F(RedisPurgeTest, R_01_UsedAgainWithinTwoSeconds) {
  ASSERT_TRUE(OpenBoth());
  for (int i = 0; i < 20; ++i) {
    server.Kill();
    Pass(std::chrono::milliseconds(700 + 137 * i));
    server.Start();
    EXPECT_TRUE(Until([&] { return tier->ready(); }, 1200ms)) << i;
    Pass(5s);
  }
}

TEST_F(RedisPurgeTest, R_02_K_18_ADeafListenerStopsEverybodyAndThenAllIsReadAgain) {
  ASSERT_TRUE(OpenBoth());
  // Only the subscriber's connection is silent: the tier's own would notice nothing.
  bool silent = true;
  server.script = [&](const Words& words) -> std::optional<std::string> {
    if (words[0] == "PING" && silent) return "";
    return std::nullopt;
  };
  const TimePoint began = worker.Now();
  ASSERT_TRUE(Until([&] { return !tier->ready(); }, 1s));
  EXPECT_LE(worker.Now() - began, 800ms);
  EXPECT_EQ(heard.said.back(), "10.1.0.1:6379 hung");
  const int gets = server.Count("GET");
  EXPECT_TRUE(Find(1).miss());
  server.epochs["all"] = 5;  // published while nobody heard
  silent = false;
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(Value("all"), 5u);
  EXPECT_EQ(server.Count("GET"), gets);
  EXPECT_EQ(heard.said.back(), "10.1.0.1:6379 none");
  EXPECT_EQ(events.said, Words{"10.1.0.1:6379 none"});
}

TEST_F(RedisPurgeTest, ADeafSpellBetweenTwoCallsIsNoticed) {
  ASSERT_TRUE(OpenBoth());
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  server.epochs["all"] = 5;
  purges.SetHearing(false);
  purges.SetHearing(true);
  EXPECT_TRUE(Find(1).miss());
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 50ms));
  EXPECT_EQ(Value("all"), 5u);
}

TEST_F(RedisPurgeTest, K_18_PurgesOfADisconnectedOneAreTold) {
  ASSERT_TRUE(OpenBoth());
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  server.Kill();
  Pass(10ms);
  EXPECT_FALSE(Told(PurgeEpoch(*tier, epochs, "model:m")));
  Purge& key = Start(tier->PurgeKey(DigestOf(1)));
  EXPECT_EQ(events.purged, std::vector<Digest>{DigestOf(1)}) << "a look-up may have ended since the caller erased it";
  EXPECT_FALSE(Told(key));
  EXPECT_TRUE(purges.OwesKey(DigestOf(1)));
  server.epochs["model:m"] = 1;  // somebody else purged the same model meanwhile: theirs was not ours
  server.Start();
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_TRUE(!Find(1).hit());
  ASSERT_TRUE(Until([&] { return !purges.owes(); }));
  EXPECT_FALSE(lookups.back()->hit());
  EXPECT_EQ(server.epochs["model:m"], 2u);
  EXPECT_EQ(Value("model:m"), 2u);
  EXPECT_TRUE(server.purged.contains(HexOf(DigestOf(1))));
  EXPECT_TRUE(server.keys.empty());
}

TEST_F(RedisPurgeTest, K_18_OwedByOneTierAndNotServedByTheOther) {
  ASSERT_TRUE(OpenBoth());
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  const std::map<std::string, std::string> kept = server.keys;
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "DEL") return "-READONLY You can't write against a read only replica.\r\n";
    return std::nullopt;
  };
  EXPECT_FALSE(Told(Start(tier->PurgeKey(DigestOf(1)))));
  NotedEvents second_events;
  RedisTier second(worker, resolver, OptionsFor({server.url()}), purges, second_events);
  ASSERT_TRUE(Until([&] { return second.ready(); }));
  EXPECT_EQ(server.keys, kept);
  EXPECT_EQ(Found(1), "");
  server.script = nullptr;
  ASSERT_TRUE(Until([&] { return !purges.owes(); }, 2s));
  EXPECT_TRUE(server.keys.empty());
}

TEST_F(RedisPurgeTest, R_08_AFlushedRedisGetsTheHigherEpochsBack) {
  ASSERT_TRUE(OpenBoth());
  for (int i = 0; i < 300; ++i) epochs.RaiseTo("tenant:" + std::to_string(i), 4);
  EXPECT_TRUE(Told(PurgeEpoch(*tier, epochs, "all")));
  server.Flush();
  server.Kill();
  server.Start();
  ASSERT_TRUE(Until([&] { return server.epochs.size() == 301; }, 3s));
  EXPECT_EQ(server.epochs["all"], 1u);
  EXPECT_EQ(server.epochs["tenant:299"], 4u);
}

TEST_F(RedisPurgeTest, TwoPurgesAtOnceAreTwo) {
  ASSERT_TRUE(OpenBoth());
  Instance& other = Another();
  Purge& first = PurgeEpoch(*tier, epochs, "all");
  Purge& second = PurgeEpoch(*other.tier, other.epochs, "all");
  EXPECT_TRUE(Told(first));
  EXPECT_TRUE(Told(second));
  EXPECT_EQ(server.epochs["all"], 2u);
  EXPECT_TRUE(Until([&] { return Value("all") == 2 && other.epochs.all().load() == 2; }, 1s));
}

TEST_F(RedisPurgeTest, TooManyOwedKeysPurgeAll) {
  Open(OptionsFor({server.url()}));
  for (unsigned i = 0; i <= RedisPurges::kOwedMax; ++i) EXPECT_FALSE(Told(Start(tier->PurgeKey(DigestOf(i)))));
  EXPECT_EQ(Value("all"), 1u);
  EXPECT_FALSE(purges.OwesKey(DigestOf(1)));
  Listen(OptionsFor({server.url()}));
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(server.epochs["all"], 1u);
  EXPECT_TRUE(server.purged.empty());
}

TEST_F(RedisPurgeTest, HeardKeysAreNotReportedAgainAtTheNextReconnect) {
  ASSERT_TRUE(OpenBoth());
  EXPECT_TRUE(Told(Start(tier->PurgeKey(DigestOf(1)))));
  Pass(1500ms);
  EXPECT_EQ(heard.purged, std::vector<Digest>{DigestOf(1)});
  server.Kill();
  server.Start();
  Pass(2s);
  EXPECT_TRUE(tier->ready());
  EXPECT_EQ(events.purged, std::vector<Digest>{DigestOf(1)}) << "when it was purged";
}

TEST_F(RedisPurgeTest, R_07_ScriptsRefused) {
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "EVAL") return "-NOPERM this user has no permissions to run the 'eval' command\r\n";
    return std::nullopt;
  };
  Listen(OptionsFor({server.url()}));
  Open(OptionsFor({server.url()}));
  Pass(10s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(events.said, Words{"10.1.0.1:6379 purges"});
  EXPECT_LE(server.Count("EVAL"), 11);
  server.script = nullptr;
  EXPECT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(events.said.back(), "10.1.0.1:6379 none");
}

TEST_F(RedisPurgeTest, R_07_SubscribeRefused) {
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SUBSCRIBE") return "-NOPERM this user has no permissions to access one of the channels\r\n";
    return std::nullopt;
  };
  Listen(OptionsFor({server.url()}));
  Open(OptionsFor({server.url()}));
  Pass(10s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(heard.said, Words{"10.1.0.1:6379 purges"});
  EXPECT_EQ(events.said, Words{});
}

TEST_F(RedisPurgeTest, R_07_AReplicaIsReadThoughItTakesNoEpochs) {
  server.writable = false;
  server.epochs["all"] = 1;
  epochs.RaiseTo("all", 2);
  ASSERT_TRUE(OpenBoth());
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().misses, 1u);
  EXPECT_FALSE(Told(PurgeEpoch(*tier, epochs, "all")));
  EXPECT_TRUE(purges.owes());
  server.writable = true;
  ASSERT_TRUE(Until([&] { return !purges.owes(); }, 2s));
  EXPECT_EQ(server.epochs["all"], 3u);
}

TEST_F(RedisPurgeTest, R_05_MessagesThatMakeNoSense) {
  ASSERT_TRUE(OpenBoth());
  const std::string hex(64, 'a');
  for (const std::string& text :
       {std::string(), std::string("epoch"), std::string("epoch all"), std::string("epoch all -1"),
        std::string("epoch  7"), std::string("epoch all 9007199254740992"), std::string("epoch all 1x"),
        std::string("key 00 1"), "key " + hex, "key " + hex + "a 1", std::string("flush all 1")}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(PurgeMessage::Parse(text), std::nullopt);
    server.Publish(text);
  }
  Pass(100ms);
  EXPECT_TRUE(tier->ready());
  EXPECT_EQ(Value("all"), 0u);
  EXPECT_TRUE(heard.purged.empty());
  server.Publish("epoch all 9007199254740991");
  server.Publish("key " + hex + " 1");
  EXPECT_TRUE(Until([&] { return Value("all") == kEpochMax && heard.purged.size() == 1; }));
}

TEST_F(RedisPurgeTest, R_05_EpochsThatMakeNoSense) {
  server.epochs["all"] = std::uint64_t{1} << 60;
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "ZREVRANGEBYSCORE") return "*1\r\n$1\r\nx\r\n";
    return std::nullopt;
  };
  Listen(OptionsFor({server.url()}));
  Open(OptionsFor({server.url()}));
  Pass(3s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(events.said, Words{"10.1.0.1:6379 garbage"});
  server.script = nullptr;
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(Value("all"), 0u);
}

TEST_F(RedisPurgeTest, ATierMayGoWithPurgesUnderWay) {
  ASSERT_TRUE(OpenBoth());
  Purge& epoch = PurgeEpoch(*tier, epochs, "all");
  Purge& key = Start(tier->PurgeKey(DigestOf(1)));
  tier.reset();
  EXPECT_EQ(epoch.told, false);
  EXPECT_EQ(key.told, false);
  EXPECT_TRUE(purges.owes());
}

TEST_F(RedisPurgeTest, AListenerThatGoesIsDeaf) {
  ASSERT_TRUE(OpenBoth());
  listener.reset();
  EXPECT_FALSE(tier->ready());
  Pass(1ms);
  EXPECT_FALSE(server.heard());
}

TEST_F(RedisPurgeTest, R_01_ClusterListensToAnyConfiguredNode) {
  FakeRedis other(network, worker, 2);
  RedisOptions options = OptionsFor({server.url(), other.url()});
  options.mode = RedisMode::kCluster;
  Listen(options);
  ASSERT_TRUE(Until([&] { return purges.hearing() == 3; }));  // of this process: 1 by the fixture, 2, 3
  Pass(1s);
  EXPECT_EQ(server.Count("CLUSTER") + other.Count("CLUSTER"), 0);
  FakeRedis& first = server.heard() ? server : other;
  FakeRedis& second = server.heard() ? other : server;
  EXPECT_FALSE(second.heard());
  first.Kill();
  ASSERT_TRUE(Until([&] { return second.heard(); }, 100ms));
  EXPECT_TRUE(Until([&] { return purges.hearing() == 5; }, 100ms));
  second.Publish("epoch all 4");
  EXPECT_TRUE(Until([&] { return Value("all") == 4; }, 1s));
}

TEST_F(RedisPurgeTest, R_01_SentinelListensToTheMaster) {
  FakeRedis other(network, worker, 2);
  FakeRedis sentinel(network, worker, 3);
  std::string master = server.host();
  sentinel.script = [&](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SENTINEL") return "*2\r\n" + Bulk(master) + Bulk("6379");
    return std::nullopt;
  };
  RedisOptions options = OptionsFor({sentinel.url()});
  options.mode = RedisMode::kSentinel;
  options.master = "main";
  Listen(options);
  ASSERT_TRUE(OpenReady(options));
  EXPECT_TRUE(server.heard());
  server.Kill();
  other.epochs["all"] = 2;
  master = other.host();
  Pass(10ms);
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 3s));
  EXPECT_TRUE(other.heard());
  EXPECT_EQ(Value("all"), 2u);
  EXPECT_FALSE(sentinel.heard());
}

}  // namespace
}  // namespace penstock::cache
