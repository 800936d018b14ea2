#include "penstock/cache/redis_tier.hpp"

#include <gtest/gtest.h>

#include "penstock/cache/envelope.hpp"
#include "unit/cache/redis_world.hpp"

namespace penstock::cache {
namespace {

using RedisTierTest = RedisWorld;

std::size_t Hits(const std::vector<std::unique_ptr<Lookup>>& lookups) {
  std::size_t hits = 0;
  for (const auto& each : lookups) hits += each->hit() ? 1 : 0;
  return hits;
}

TEST_F(RedisTierTest, WhatIsStoredIsFoundByAnother) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  EXPECT_EQ(Found(1), "");
  Store(1);
  Store(2);
  EXPECT_EQ(Found(2), TextOf(2));
  tier.reset();
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(Found(3), "");
  EXPECT_EQ(tier->stats().hits, 1u);
  EXPECT_EQ(tier->stats().misses, 1u);
  EXPECT_EQ(tier->in_flight(), 0u);
  EXPECT_EQ(events.said, (Words{"10.1.0.1:6379 none", "10.1.0.1:6379 none"}));
}

TEST_F(RedisTierTest, K_11_LogsInSelectsAndSendsTheTimeToLive) {
  server.password = "se:cret";
  ASSERT_TRUE(OpenReady(OptionsFor({"redis://me:se%3Acret@10.1.0.1/3"})));
  tier->Store(DigestOf(1), EntryOf(1), {wall.us + 1'000'000});
  ASSERT_TRUE(Until([&] { return server.Count("SET") == 1; }));
  ASSERT_GT(server.received.size(), 4u);
  EXPECT_EQ(server.received[0], (Words{"AUTH", "me", "se:cret"}));
  EXPECT_EQ(server.received[1], (Words{"SELECT", "3"}));
  EXPECT_EQ(server.received[2], (Words{"PING"}));
  EXPECT_EQ(server.received[3][0], "EVAL");
  EXPECT_EQ(server.received.back()[3], "PX");
  EXPECT_EQ(server.received.back()[4], "299000");
}

TEST_F(RedisTierTest, PasswordForAServerWithoutOne) { EXPECT_TRUE(OpenReady(OptionsFor({"redis://:x@10.1.0.1"}))); }

TEST_F(RedisTierTest, OneWritePerTurnAndRepliesInOrder) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  for (unsigned i = 0; i < 300; i += 2) Store(i);
  for (unsigned i = 0; i < 300; ++i) Find(i);
  ASSERT_TRUE(Until([&] { return tier->in_flight() == 0; }));
  for (unsigned i = 0; i < 300; ++i) {
    ASSERT_TRUE(lookups[i]->done);
    EXPECT_EQ(lookups[i]->hit(), i % 2 == 0) << i;
    if (lookups[i]->hit()) {
      EXPECT_EQ(lookups[i]->entry->bytes.view(), TextOf(i));
    }
  }
}

TEST_F(RedisTierTest, AnAbandonedLookupTakesNothingFromTheNext) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  Store(2);
  Find(1);
  Lookup& second = Find(2);
  lookups.front()->task.Destroy();
  ASSERT_TRUE(Until([&] { return second.done; }));
  ASSERT_TRUE(second.hit());
  EXPECT_EQ(second.entry->bytes.view(), TextOf(2));
}

TEST_F(RedisTierTest, K_10_K_11_NotStoredWhatIsTooLargeOrExpired) {
  RedisOptions options = OptionsFor({server.url()});
  options.entry_max = 5;
  ASSERT_TRUE(OpenReady(std::move(options)));
  Store(1);
  Entry expired = EntryOf(1);
  expired.bytes = SharedBytes::Copy("12345");
  tier->Store(DigestOf(1), expired, wall);
  tier->Store(DigestOf(2), expired, expired.expires_at);
  Pass(10ms);
  EXPECT_EQ(server.Count("SET"), 1);
  EXPECT_EQ(tier->stats().stores_skipped, 2u);
}

TEST_F(RedisTierTest, K_11_AnExpiredEntryIsAMiss) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  const WallTime stored = wall;
  wall.us = stored.us + 300'000'000 - 1;
  EXPECT_EQ(Found(1), TextOf(1));
  wall.us = stored.us + 300'000'000;
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().misses, 1u);
  wall.us = stored.us - 3'600'000'000;
  EXPECT_EQ(Found(1), "") << "of the future: the clock went back";
}

TEST_F(RedisTierTest, RemovedIsGone) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  tier->Remove(DigestOf(1));
  EXPECT_EQ(Found(1), "");
  EXPECT_TRUE(server.keys.empty());
}

TEST_F(RedisTierTest, ATierMayGoWithLookupsUnderWay) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Lookup& lookup = Find(1);
  tier.reset();
  EXPECT_TRUE(lookup.miss());
}

// --- FAULTS R-01 to R-10 -------------------------------------------------------------------------------------------

TEST_F(RedisTierTest, R_01_Killed) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  Pass(5ms);
  for (int i = 0; i < 3; ++i) Find(1);
  server.Kill();
  ASSERT_TRUE(Until([&] { return Find(1).miss(); }));
  for (const auto& each : lookups) {
    EXPECT_TRUE(each->done);
    EXPECT_LE(each->took(), 20ms);
  }
  // Without a server nothing is waited for at all.
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(Find(1).took(), 0ms);
    Pass(10ms);
  }
  EXPECT_LE(tier->stats().connects, 6u);  // one a second
  server.Start();
  EXPECT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(events.said, (Words{"10.1.0.1:6379 none", "10.1.0.1:6379 connect", "10.1.0.1:6379 none"}));
}

TEST_F(RedisTierTest, R_02_StoppedButConnectable) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  Pass(5ms);
  server.Stop();
  const TimePoint stop = worker.Now();
  for (int i = 0; i < 5000; ++i) {
    Find(1);
    Pass(1ms);
  }
  for (const auto& each : lookups) {
    ASSERT_TRUE(each->done);
    EXPECT_FALSE(each->hit());
    EXPECT_LE(each->took(), 20ms);
    if (each->began - stop > 25ms) {
      EXPECT_EQ(each->took(), 0ms);
    }
  }
  EXPECT_EQ(tier->stats().timeouts, 1u);
  server.Continue();
  const int gets = server.Count("GET");
  EXPECT_LE(gets, 25) << "calls while the breaker was open";
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(events.said, (Words{"10.1.0.1:6379 none", "10.1.0.1:6379 hung", "10.1.0.1:6379 none"}));
}

TEST_F(RedisTierTest, R_03_Slow15ms) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  server.delay = 15ms;
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(tier->stats().timeouts, 0u);
}

class RedisSlow : public RedisWorld, public testing::WithParamInterface<int> {};

TEST_P(RedisSlow, R_03_LateRepliesAreNobodys) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  for (unsigned i = 0; i < 4; ++i) Store(i);
  Pass(5ms);
  server.delay = std::chrono::milliseconds(GetParam());
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(Found(i), "");
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(tier->stats().timeouts, 1u);
  EXPECT_EQ(tier->stats().skipped, 3u);
  Pass(5ms);
  EXPECT_EQ(server.open(), 0u) << "the connection was kept";
  server.delay = {};
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  for (unsigned i = 0; i < 4; ++i) EXPECT_EQ(Found(i), TextOf(i));
}
INSTANTIATE_TEST_SUITE_P(Milliseconds, RedisSlow, testing::Values(25, 500));

class RedisFlapping : public RedisWorld, public testing::WithParamInterface<bool> {};

TEST_P(RedisFlapping, R_04_ForFiveMinutes) {
  const bool hangs = GetParam();
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  Pass(5ms);
  std::size_t asked = 0;
  std::size_t delayed = 0;
  for (int second = 0; second < 300; ++second) {
    if (second % 2 == 0) {
      hangs ? server.Stop() : server.Kill();
    } else {
      hangs ? server.Continue() : server.Start();
    }
    for (int i = 0; i < 50; ++i) {
      Find(1);
      Pass(20ms);
    }
    for (const auto& each : lookups) delayed += !each->done || each->took() > 20ms ? 1 : 0;
    asked += lookups.size();
    lookups.clear();
  }
  EXPECT_LE(delayed, asked / 100);
  EXPECT_GT(tier->stats().hits, 100u);
  EXPECT_LE(events.said.size(), 301u);
  // Changes, not failures: in ten seconds there is one.
  const std::size_t said = events.said.size();
  hangs ? server.Stop() : server.Kill();
  Pass(10s);
  EXPECT_LE(events.said.size(), said + 1);
}
INSTANTIATE_TEST_SUITE_P(How, RedisFlapping, testing::Bool(),
                         [](const auto& each) { return each.param ? "hangs" : "dies"; });

struct Junk {
  const char* name;
  const char* bytes;
};
class RedisJunk : public RedisWorld, public testing::WithParamInterface<Junk> {};

TEST_P(RedisJunk, ClosedAndMissed) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return GetParam().bytes;
    return std::nullopt;
  };
  Lookup& first = Find(1);
  Lookup& second = Find(1);
  ASSERT_TRUE(Until([&] { return first.done && second.done; }));
  EXPECT_TRUE(first.miss());
  EXPECT_TRUE(second.miss());
  EXPECT_EQ(tier->stats().garbage, 1u);
  EXPECT_EQ(tier->stats().failed + tier->stats().misses, 2u);
  EXPECT_EQ(tier->stats().connects, 2u) << "on the first connection nothing is read any more";
  EXPECT_TRUE(Until([&] { return server.open() == 1; }, 100ms));
  server.script = nullptr;
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 100ms));  // once is no reason to open the breaker
  EXPECT_EQ(Found(1), TextOf(1));
}
INSTANTIATE_TEST_SUITE_P(All, RedisJunk,
                         testing::Values(Junk{"R_05_Negative", "$-5\r\n"},
                                         Junk{"R_05_Huge", "$9223372036854775807\r\n"},
                                         Junk{"R_05_Array", "*1000000000\r\n"}, Junk{"R_05_Html", "<html>\r\n"},
                                         Junk{"R_05_Push", ">2\r\n+a\r\n+b\r\n"}, Junk{"R_05_WrongType", ":1\r\n"},
                                         Junk{"R_05_TwoReplies", "$-1\r\n$-1\r\n$-1\r\n"}),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_F(RedisTierTest, R_05_HalfAReplyThenFin) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return "$100\r\nPSTK";
    return std::nullopt;
  };
  Lookup& first = Find(1);
  Lookup& second = Find(1);
  Pass(5ms);
  EXPECT_FALSE(first.done);
  server.HangUp();
  ASSERT_TRUE(Until([&] { return first.done && second.done; }, 5ms));
  EXPECT_TRUE(first.miss());
  EXPECT_TRUE(second.miss());
  EXPECT_EQ(tier->stats().failed, 2u);
  server.script = nullptr;
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 100ms));
  EXPECT_EQ(Found(1), TextOf(1)) << "and the half is no part of the next connection's replies";
}

// An instance with another `cache.max_entry`, or this one before it was restarted with less.
TEST_F(RedisTierTest, R_05_ALargerEntryThanOursIsAMissAndNoGarbage) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  Pass(5ms);
  tier.reset();
  RedisOptions options = OptionsFor({server.url()});
  options.entry_max = TextOf(1).size() - 1;
  ASSERT_TRUE(OpenReady(options));
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().misses, 1u);
  EXPECT_EQ(tier->stats().garbage, 0u);
  EXPECT_EQ(tier->stats().connects, 1u);
}

TEST_F(RedisTierTest, R_05_WhatCouldNotBeReadIsNotWritten) {
  RedisOptions options = OptionsFor({server.url()});
  options.entry_max = std::size_t{32} << 20;  // the largest `cache.max_entry`
  ASSERT_TRUE(OpenReady(std::move(options)));
  Entry entry = EntryOf(1);
  for (const std::size_t more : {1, 0}) {
    entry.bytes = SharedBytes::Copy(std::string(redis::ReplyReader::kBulkMax - kEnvelopeHeaderBytes + more, 'x'));
    tier->Store(DigestOf(1), entry, wall);
    EXPECT_EQ(tier->stats().stores, more == 0 ? 1u : 0u);
    EXPECT_EQ(tier->stats().stores_skipped, 1u);
  }
}

TEST_F(RedisTierTest, R_05_GarbageAgainAndAgainOpensTheBreaker) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "GET") return "garbage\r\n";
    return std::nullopt;
  };
  for (int i = 0; i < 900; ++i) {
    Find(1);
    Pass(1ms);
  }
  EXPECT_EQ(server.Count("GET"), 5);
  EXPECT_EQ(events.said.back(), "10.1.0.1:6379 garbage");
}

TEST_F(RedisTierTest, R_06_AnotherTenantsEntryAndDamage) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Entry foreign = EntryOf(1);
  ++foreign.scope.tenant;
  tier->Store(DigestOf(1), foreign, wall);
  Store(2);
  Store(3);
  Store(4);
  ASSERT_TRUE(Until([&] { return server.keys.size() == 4; }));
  auto& keys = server.keys;
  const auto key = [&](unsigned number) {
    const std::string sought = TextOf(number);
    for (const auto& [name, value] : keys) {
      if (value.ends_with(sought)) return name;
    }
    return std::string();
  };
  keys[key(3)].back() ^= 1;
  keys[key(4)] = keys[key(2)];  // moved
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(Found(3), "");
  EXPECT_EQ(Found(4), "");
  EXPECT_EQ(tier->stats().corrupt, 3u);
  EXPECT_EQ(Found(2), TextOf(2));
}

struct ErrorCase {
  const char* name;
  const char* command;
  const char* reply;
  const char* said;  ///< after five of them; "" = nothing, and reads go on
};
class RedisErrors : public RedisWorld, public testing::WithParamInterface<ErrorCase> {};

TEST_P(RedisErrors, MissOrSkippedWrite) {
  const ErrorCase& each = GetParam();
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  Pass(5ms);
  server.script = [&](const Words& words) -> std::optional<std::string> {
    if (words[0] == each.command) return std::string(each.reply) + "\r\n";
    return std::nullopt;
  };
  events.said.clear();
  for (int i = 0; i < 8; ++i) {
    Store(2);
    Find(1);
    Pass(1ms);
  }
  for (const auto& lookup : lookups) EXPECT_TRUE(lookup->done);
  const bool reads = each.command == std::string("GET");
  EXPECT_EQ(Hits(lookups), reads ? 0u : 8u);
  EXPECT_EQ(events.said.empty() ? "" : events.said.back(), std::string(each.said));
  EXPECT_LE(events.said.size(), 1u);
  if (!reads) {
    EXPECT_EQ(tier->stats().stores_failed, 8u);
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, RedisErrors,
    testing::Values(ErrorCase{"R_07_Oom", "SET", "-OOM command not allowed when used memory > 'maxmemory'.", ""},
                    ErrorCase{"R_07_ReadOnly", "SET", "-READONLY You can't write against a read only replica.", ""},
                    ErrorCase{"R_07_Misconf", "SET", "-MISCONF Errors writing to the AOF file", ""},
                    ErrorCase{"R_07_Loading", "GET", "-LOADING Redis is loading the dataset in memory",
                              "10.1.0.1:6379 not_serving"},
                    ErrorCase{"R_07_NoAuth", "GET", "-NOAUTH Authentication required.", "10.1.0.1:6379 login"},
                    ErrorCase{"R_07_Moved", "GET", "-MOVED 1 10.1.0.9:6379", ""},  // not in cluster mode: a miss
                    ErrorCase{"R_07_WrongType", "GET", "-WRONGTYPE Operation against a key", ""}),
    [](const auto& each) { return std::string(each.param.name); });

TEST_F(RedisTierTest, R_07_WrongPasswordIsToldOnce) {
  server.password = "right";
  Open(OptionsFor({"redis://:wrong@10.1.0.1"}));
  Pass(5s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(events.said, Words{"10.1.0.1:6379 login"});
  EXPECT_LE(server.Count("AUTH"), 6);
}

TEST_F(RedisTierTest, R_07_WhoIsLoadingIsNotUsedUntilItServes) {
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "PING") return "-LOADING Redis is loading the dataset in memory\r\n";
    return std::nullopt;
  };
  Open(OptionsFor({server.url()}));
  Pass(3s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(events.said, Words{"10.1.0.1:6379 not_serving"});
  EXPECT_EQ(server.Count("EVAL") + server.Count("GET"), 0);
  EXPECT_LE(tier->stats().connects, 4u);  // one a second
  server.script = nullptr;
  EXPECT_TRUE(Until([&] { return tier->ready(); }, 2s));
}

TEST_F(RedisTierTest, R_08_GoneBetweenTwoLookups) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  server.keys.clear();
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().misses, 1u);
}

TEST_F(RedisTierTest, R_09_ReplacedByOneWithAnotherPassword) {
  server.password = "old";
  ASSERT_TRUE(OpenReady(OptionsFor({"redis://:old@10.1.0.1"})));
  Store(1);
  Pass(5ms);
  server.Kill();
  server.password = "new";
  server.keys.clear();
  server.Start();
  const int scripts = server.Count("EVAL");
  for (int i = 0; i < 300; ++i) {
    EXPECT_FALSE(Find(1).hit());
    Pass(10ms);
  }
  EXPECT_EQ(events.said, (Words{"10.1.0.1:6379 none", "10.1.0.1:6379 login"}));
  EXPECT_EQ(server.Count("GET"), 0);
  EXPECT_EQ(server.Count("EVAL"), scripts) << "whoever does not let us in is asked for nothing";
}

TEST_F(RedisTierTest, R_10_PipelineFull) {
  RedisOptions options = OptionsFor({server.url()});
  options.in_flight_max = 4;
  ASSERT_TRUE(OpenReady(std::move(options)));
  Store(1);
  Pass(5ms);
  for (int i = 0; i < 500; ++i) Find(1);
  std::size_t at_once = 0;
  for (const auto& each : lookups) at_once += each->miss() ? 1 : 0;
  EXPECT_EQ(at_once, 496u);
  EXPECT_EQ(tier->stats().refused, 496u);
  const std::uint64_t stores = tier->stats().stores;
  Store(2);
  EXPECT_EQ(tier->stats().stores, stores);
  EXPECT_EQ(tier->stats().stores_skipped, 1u) << "nothing is written either";
  ASSERT_TRUE(Until([&] { return tier->in_flight() == 0; }));
  EXPECT_EQ(Hits(lookups), 4u);
}

TEST_F(RedisTierTest, R_10_NoMoreThanALittleWaitsForTheSocket) {
  ASSERT_TRUE(OpenReady(OptionsFor({server.url()})));
  Entry entry = EntryOf(1);
  entry.bytes = SharedBytes::Copy(std::string(1 << 20, 'x'));
  for (unsigned i = 0; i < 100; ++i) tier->Store(DigestOf(i), entry, wall);  // in one turn: nothing is sent yet
  EXPECT_LE(tier->stats().stores, RedisTier::kUnsentMax / entry.bytes.size() + 1);
  EXPECT_EQ(tier->stats().stores + tier->stats().stores_skipped, 100u);
}

}  // namespace
}  // namespace penstock::cache
