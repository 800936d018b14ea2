// Clusters and sentinels: who is asked, and who after that.

#include <gtest/gtest.h>

#include "penstock/redis/key_slot.hpp"
#include "unit/cache/redis_world.hpp"

namespace penstock::cache {
namespace {

std::string Integer(int value) { return ":" + std::to_string(value) + "\r\n"; }

/// One line of CLUSTER SLOTS.
std::string Range(int first, int last, const std::string& host) {
  return "*3\r\n" + Integer(first) + Integer(last) + "*3\r\n" + Bulk(host) + Integer(FakeRedis::kPort) + Bulk("id");
}

class RedisCluster : public RedisWorld {
 protected:
  RedisCluster() { SetSlots("*2\r\n" + Range(0, 8191, server.host()) + Range(8192, 16383, other.host())); }
  void SetSlots(const std::string& slots) {
    const auto script = [this, slots](const Words& words) -> std::optional<std::string> {
      if (words[0] == "CLUSTER") return slots;
      if (words[0] == "GET" && override_get) return override_get(words);
      return std::nullopt;
    };
    server.script = script;
    other.script = script;
  }
  bool OpenCluster() {
    RedisOptions options = OptionsFor({server.url()});
    options.mode = RedisMode::kCluster;
    Open(std::move(options));
    return Until([&] { return events.said.size() == 2; });
  }
  FakeRedis other{network, worker, 2};
  std::function<std::optional<std::string>(const Words&)> override_get;
};

TEST_F(RedisCluster, KeysGoWhereTheirSlotsAre) {
  ASSERT_TRUE(OpenCluster());
  for (unsigned i = 0; i < 100; ++i) Store(i);
  for (unsigned i = 0; i < 100; ++i) EXPECT_EQ(Found(i), TextOf(i));
  EXPECT_GT(server.keys.size(), 20u);
  EXPECT_GT(other.keys.size(), 20u);
  EXPECT_EQ(server.keys.size() + other.keys.size(), 100u);
  EXPECT_EQ(tier->stats().redirects, 0u);
}

TEST_F(RedisCluster, R_07_MovedIsFollowedAndRemembered) {
  ASSERT_TRUE(OpenCluster());
  for (unsigned i = 0; i < 20; ++i) Store(i);
  Pass(5ms);
  // All slots of the first go to the second.
  SetSlots("*1\r\n" + Range(0, 16383, other.host()));
  other.keys.insert(server.keys.begin(), server.keys.end());
  server.keys.clear();
  const auto plain = server.script;
  server.script = [&, plain](const Words& words) -> std::optional<std::string> {
    if (words[0] != "GET") return plain(words);
    return "-MOVED " + std::to_string(redis::KeySlot(words[1])) + " 10.1.0.2:6379\r\n";
  };
  for (unsigned i = 0; i < 20; ++i) {
    EXPECT_EQ(Found(i), TextOf(i));
    const std::uint64_t redirects = tier->stats().redirects;
    EXPECT_EQ(Found(i), TextOf(i));
    EXPECT_EQ(tier->stats().redirects, redirects) << "its slot is known, whether or not the others' are";
  }
  EXPECT_GT(tier->stats().redirects, 0u);
  Pass(1s);  // the slots were asked for anew
  const std::uint64_t redirects = tier->stats().redirects;
  const int asked = server.Count("GET");
  for (unsigned i = 0; i < 20; ++i) EXPECT_EQ(Found(i), TextOf(i));
  EXPECT_EQ(tier->stats().redirects, redirects);
  EXPECT_EQ(server.Count("GET"), asked);
}

TEST_F(RedisCluster, R_07_AskIsFollowedOnce) {
  ASSERT_TRUE(OpenCluster());
  for (unsigned i = 0; i < 20; ++i) Store(i);
  Pass(5ms);
  other.keys.insert(server.keys.begin(), server.keys.end());
  const auto plain = server.script;
  server.script = [plain](const Words& words) -> std::optional<std::string> {
    if (words[0] != "GET") return plain(words);
    return "-ASK 1 10.1.0.2:6379\r\n";
  };
  for (int round = 0; round < 2; ++round) {
    for (unsigned i = 0; i < 20; ++i) EXPECT_EQ(Found(i), TextOf(i));
  }
  EXPECT_GT(other.Count("ASKING"), 2);
  EXPECT_EQ(other.Count("ASKING"), static_cast<int>(tier->stats().redirects));
  EXPECT_EQ(other.Count("ASKING"), server.Count("GET")) << "ASK is remembered by nobody";
}

TEST_F(RedisCluster, R_07_WritesFollowMovedAndAsk) {
  ASSERT_TRUE(OpenCluster());
  const std::string to = " 10.1.0.2:6379\r\n";
  const auto plain = server.script;
  for (const std::string kind : {"-MOVED ", "-ASK "}) {
    SCOPED_TRACE(kind);
    server.keys.clear();
    other.keys.clear();
    const int asking = other.Count("ASKING");
    server.script = [&, plain](const Words& words) -> std::optional<std::string> {
      if (words[0] != "SET") return plain(words);
      return kind + std::to_string(redis::KeySlot(words[1])) + to;
    };
    for (unsigned i = 0; i < 50; ++i) Store(i);
    ASSERT_TRUE(Until([&] { return other.keys.size() == 50; }, 1s));
    EXPECT_TRUE(server.keys.empty());
    if (kind == "-ASK ") {
      EXPECT_GT(other.Count("ASKING"), asking);
    }
    server.script = plain;
    Pass(2s);  // the slots as they were
  }
  EXPECT_EQ(tier->stats().stores_failed, 0u);
}

TEST_F(RedisCluster, R_07_WritesFollowNoCircle) {
  ASSERT_TRUE(OpenCluster());
  for (FakeRedis* each : {&server, &other}) {
    const std::string to = each == &server ? other.host() : server.host();
    each->script = [to](const Words& words) -> std::optional<std::string> {
      if (words[0] == "SET") return "-ASK 1 " + to + ":6379\r\n";
      return std::nullopt;
    };
  }
  Store(1);
  Pass(100ms);
  EXPECT_EQ(server.Count("SET") + other.Count("SET"), 3);
  EXPECT_EQ(tier->stats().stores_failed, 1u);
}

TEST_F(RedisCluster, K_18_TheEpochsAreReadAgainWhenTheirServerIs) {
  ASSERT_TRUE(OpenCluster());
  const bool first = redis::KeySlot("penstock:epochs") < 8192;
  FakeRedis& holder = first ? server : other;
  FakeRedis& rest = first ? other : server;
  for (unsigned i = 0; i < 20; ++i) Store(i);
  Pass(5ms);
  holder.Kill();
  Pass(50ms);
  EXPECT_TRUE(tier->ready()) << "nobody can purge through it";
  holder.epochs["all"] = 3;
  holder.Start();
  ASSERT_TRUE(Until([&] { return epochs.all().load() == 3; }, 2s));
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 200ms));
  const int scans = holder.Count("HSCAN");
  rest.Kill();
  rest.Start();
  Pass(2s);
  EXPECT_EQ(redis::KeySlot("penstock:purged") < 8192, first) << "else both are read again";
  EXPECT_EQ(holder.Count("HSCAN"), scans);
  for (unsigned i = 0; i < 20; ++i) EXPECT_EQ(Found(i), TextOf(i));
}

TEST_F(RedisCluster, R_07_ServersThatPointAtEachOther) {
  ASSERT_TRUE(OpenCluster());
  for (FakeRedis* each : {&server, &other}) {
    const std::string to = each == &server ? other.host() : server.host();
    each->script = [to](const Words& words) -> std::optional<std::string> {
      if (words[0] == "GET") return "-MOVED 1 " + to + ":6379\r\n";
      if (words[0] == "CLUSTER") return "-ERR This instance has cluster support disabled\r\n";
      return std::nullopt;
    };
  }
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(server.Count("GET") + other.Count("GET"), 3);
}

TEST_F(RedisCluster, R_01_OneOfTwoKilled) {
  ASSERT_TRUE(OpenCluster());
  for (unsigned i = 0; i < 50; ++i) Store(i);
  Pass(5ms);
  other.Kill();
  Pass(50ms);
  unsigned hits = 0;
  for (unsigned i = 0; i < 50; ++i) hits += Find(i).took() == 0ms ? 0 : 1;
  Pass(50ms);
  hits = 0;
  for (const auto& each : lookups) hits += each->hit() ? 1 : 0;
  EXPECT_EQ(hits, server.keys.size());
  other.Start();
  Pass(2s);
  for (unsigned i = 0; i < 50; ++i) EXPECT_EQ(Found(i), TextOf(i));
}

TEST_F(RedisCluster, R_01_AReplicaTakesThePlaceLater) {
  FakeRedis replica{network, worker, 3};
  ASSERT_TRUE(OpenCluster());
  other.Kill();
  Pass(1500ms);  // the cluster was asked, but has not yet seen it
  SetSlots("*2\r\n" + Range(0, 8191, server.host()) + Range(8192, 16383, replica.host()));
  Pass(2s);
  for (unsigned i = 0; i < 50; ++i) Store(i);
  for (unsigned i = 0; i < 50; ++i) EXPECT_EQ(Found(i), TextOf(i));
  EXPECT_GT(replica.keys.size(), 0u);
  const int asked = server.Count("CLUSTER");
  Pass(5s);
  EXPECT_EQ(server.Count("CLUSTER"), asked) << "all are there: nobody is asked any more";
}

TEST_F(RedisCluster, R_05_SlotsThatMakeNoSense) {
  for (const std::string& slots :
       {std::string("*1\r\n*0\r\n"), std::string("*1\r\n+x\r\n"), "*1\r\n" + Range(5, 4, "10.1.0.2"),
        "*1\r\n" + Range(-1, 4, "10.1.0.2"), "*1\r\n" + Range(0, 16384, "10.1.0.2"), std::string("*0\r\n"),
        std::string("*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:70000\r\n"), std::string("+OK\r\n")}) {
    SCOPED_TRACE(slots);
    SetSlots(slots);
    RedisOptions options = OptionsFor({server.url()});
    options.mode = RedisMode::kCluster;
    ASSERT_TRUE(OpenReady(std::move(options)));
    Store(1);
    EXPECT_EQ(Found(1), TextOf(1));  // any server may have it
  }
}

class RedisSentinel : public RedisWorld {
 protected:
  RedisSentinel() {
    sentinel.script = [this](const Words& words) { return Answer(words); };
  }
  std::optional<std::string> Answer(const Words& words) const {
    if (words[0] != "SENTINEL") return std::nullopt;
    EXPECT_EQ(words, (Words{"SENTINEL", "get-master-addr-by-name", "main"}));
    if (master.empty()) return "*-1\r\n";
    return "*2\r\n" + Bulk(master) + Bulk("6379");
  }
  void OpenSentinel() {
    RedisOptions options = OptionsFor({sentinel.url()});
    options.mode = RedisMode::kSentinel;
    options.master = "main";
    Open(std::move(options));
  }
  FakeRedis other{network, worker, 2};
  FakeRedis sentinel{network, worker, 3};
  std::string master = "10.1.0.1";
};

TEST_F(RedisSentinel, TheMasterIsAskedFor) {
  OpenSentinel();
  ASSERT_TRUE(Until([&] { return tier->ready(); }));
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(server.keys.size(), 1u);
  EXPECT_EQ(sentinel.Count("GET"), 0);
}

TEST_F(RedisSentinel, UnknownAtFirst) {
  master.clear();
  OpenSentinel();
  Pass(3s);
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(events.said, std::vector<std::string>{"10.1.0.3:6379 no_master"});
  master = "10.1.0.2";
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  EXPECT_EQ(events.said,
            (std::vector<std::string>{"10.1.0.3:6379 no_master", "10.1.0.3:6379 none", "10.1.0.2:6379 none"}));
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
}

TEST_F(RedisSentinel, R_09_APlainRedisIsNoSentinelAndTheNextOneIsAsked) {
  FakeRedis plain(network, worker, 4);
  plain.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SENTINEL") return "-ERR unknown command 'SENTINEL', with args beginning with: \r\n";
    return std::nullopt;
  };
  RedisOptions options = OptionsFor({plain.url()});
  options.mode = RedisMode::kSentinel;
  options.master = "main";
  Open(options);
  Pass(5s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(events.said, std::vector<std::string>{"10.1.0.4:6379 no_sentinel"});
  events.said.clear();
  options = OptionsFor({plain.url(), sentinel.url()});
  options.mode = RedisMode::kSentinel;
  options.master = "main";
  Open(options);
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 3s));
  Pass(3s);
  EXPECT_EQ(std::count(events.said.begin(), events.said.end(), "10.1.0.4:6379 none"), 0);
  EXPECT_EQ(std::count(events.said.begin(), events.said.end(), "10.1.0.3:6379 none"), 1);
}

TEST_F(RedisSentinel, R_09_OneThatLearnsOfTheMasterLaterIsToldOfThen) {
  FakeRedis ignorant(network, worker, 4);
  std::string said = "*-1\r\n";
  ignorant.script = [&said](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SENTINEL") return said;
    return std::nullopt;
  };
  for (const bool restarted : {false, true}) {
    SCOPED_TRACE(restarted);
    said = "*-1\r\n";
    events.said.clear();
    RedisOptions options = OptionsFor({ignorant.url(), sentinel.url()});
    options.mode = RedisMode::kSentinel;
    options.master = "main";
    ASSERT_TRUE(OpenReady(options));
    Pass(3s);
    EXPECT_EQ(std::count(events.said.begin(), events.said.end(), "10.1.0.4:6379 no_master"), 1);
    EXPECT_EQ(std::count(events.said.begin(), events.said.end(), "10.1.0.4:6379 none"), 0);
    if (restarted) ignorant.Kill();
    said = "*2\r\n" + Bulk("10.1.0.2") + Bulk("6379");  // out of date: the master is the others' word
    if (restarted) ignorant.Start();
    Pass(3s);
    EXPECT_EQ(std::count(events.said.begin(), events.said.end(), "10.1.0.4:6379 none"), 1);
    const int asked = ignorant.Count("SENTINEL");
    Pass(3s);
    EXPECT_EQ(ignorant.Count("SENTINEL"), asked) << "nothing is to be asked any more";
    EXPECT_EQ(other.Count("PING"), 0);
    EXPECT_TRUE(tier->ready());
  }
}

TEST_F(RedisSentinel, R_01_TheNextMasterAfterAKill) {
  OpenSentinel();
  ASSERT_TRUE(Until([&] { return tier->ready(); }));
  server.Kill();
  Pass(1500ms);
  EXPECT_FALSE(tier->ready());
  master = "10.1.0.2";
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 2s));
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(other.keys.size(), 1u);
}

TEST_F(RedisSentinel, R_07_ADemotedMasterIsLeft) {
  OpenSentinel();
  ASSERT_TRUE(Until([&] { return tier->ready(); }));
  server.script = [](const Words& words) -> std::optional<std::string> {
    if (words[0] == "SET") return "-READONLY You can't write against a read only replica.\r\n";
    return std::nullopt;
  };
  master = "10.1.0.2";
  Store(1);
  ASSERT_TRUE(Until([&] { return other.Count("PING") == 1 && tier->ready(); }, 2s));
  Store(1);
  EXPECT_EQ(Found(1), TextOf(1));
  EXPECT_EQ(other.keys.size(), 1u);
}

}  // namespace
}  // namespace penstock::cache
