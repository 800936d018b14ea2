// The Redis tier against the distribution's redis-server: what a simulated one cannot prove.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "integration/redis_server.hpp"
#include "penstock/cache/redis_listener.hpp"
#include "penstock/cache/redis_tier.hpp"
#include "support/certificates.hpp"

namespace penstock::cache {
namespace {

using namespace std::chrono_literals;

struct Lookup {
  std::optional<Entry> entry;
  bool done = false;
  Duration took{};
  rt::Task<void> task;
};

/// What one process has of Redis.
struct Instance final : RedisEvents {
  Instance(rt::Worker& worker, net::Resolver& resolver, const RedisOptions& options)
      : listener(worker, resolver, options, purges, heard), tier(worker, resolver, options, purges, *this) {}
  void OnRedisServer(std::string_view, RedisTrouble trouble) override { said.push_back(trouble); }
  void OnPurgedKey(const Digest& digest) override { purged.push_back(digest); }

  struct Heard final : RedisEvents {
    void OnRedisServer(std::string_view, RedisTrouble trouble) override { said.push_back(trouble); }
    void OnPurgedKey(const Digest& digest) override { purged.push_back(digest); }
    std::vector<RedisTrouble> said;
    std::vector<Digest> purged;
  } heard;
  std::vector<RedisTrouble> said;
  std::vector<Digest> purged;
  Epochs epochs;
  RedisPurges purges{epochs};
  RedisListener listener;
  RedisTier tier;
};

class RealRedis : public testing::Test {
 protected:
  ~RealRedis() override {
    told.clear();
    lookups.clear();
    instances.clear();
    worker.EmptyGraves();
  }

  template <class Condition>
  bool Until(Condition done, Duration limit = 10s) {
    rt::Timer tick(nullptr, [](void*) {});  // a turn ends at least that often
    const TimePoint end = worker.ReadClock() + limit;
    while (worker.Now() < end && !done()) {
      if (!tick.armed()) worker.Arm(tick, 5ms);
      worker.RunTurn();
    }
    return done();
  }
  void Pass(Duration time) {
    Until([] { return false; }, time);
  }
  Instance& Open(const std::string& url) {
    RedisOptions options;
    options.urls.push_back(*redis::Url::Parse(url));
    options.entry_max = 4 << 20;
    options.timeout = timeout;
    options.connect_timeout = connect_timeout;
    options.tls = tls.get();
    options.mode = mode;
    instances.push_back(std::make_unique<Instance>(worker, resolver, options));
    tier = &instances.back()->tier;
    return *instances.back();
  }
  bool OpenReady(const std::string& url) {
    Open(url);
    return Until([&] { return tier->ready(); });
  }
  static Digest DigestOf(unsigned number) {
    Digest digest;
    for (std::size_t i = 0; i < digest.bytes.size(); ++i)
      digest.bytes[i] = static_cast<std::uint8_t>(number >> (i % 4 * 8));
    return digest;
  }
  void Store(unsigned number, const std::string& text) {
    Entry entry;
    entry.bytes = SharedBytes::Copy(text);
    entry.stored_at = worker.Wall();
    entry.expires_at = {entry.stored_at.us + 60'000'000};
    tier->Store(DigestOf(number), entry, entry.stored_at);
  }
  Lookup& Find(unsigned number) {
    lookups.push_back(std::make_unique<Lookup>());
    Lookup& lookup = *lookups.back();
    lookup.task = Run(lookup, number);
    lookup.task.Start();
    return lookup;
  }
  std::string Found(unsigned number) {
    Lookup& lookup = Find(number);
    EXPECT_TRUE(Until([&] { return lookup.done; }));
    return lookup.entry ? std::string(lookup.entry->bytes.view()) : "";
  }
  /// Whether Redis was told.
  bool Told(rt::Task<bool> purge) {
    std::optional<bool> result;
    told.push_back(Await(result, std::move(purge)));
    told.back().Start();
    EXPECT_TRUE(Until([&] { return result.has_value(); }));
    return result.value_or(false);
  }
  bool PurgeEpoch(Instance& by, const std::string& name) {
    return Told(by.tier.PublishEpoch(name, by.epochs.Raise(name)));
  }

  // Far above the product's 20 ms, because a loaded test machine may pause either process for longer.
  Duration timeout = 2s;
  Duration connect_timeout = 2s;
  RedisMode mode = RedisMode::kSingle;
  std::shared_ptr<const net::TlsClientContext> tls;
  rt::Worker worker{0, rt::MakeEpollLoop(), 1};
  net::Resolver resolver;
  std::vector<std::unique_ptr<Instance>> instances;
  RedisTier* tier = nullptr;  ///< of the last one
  std::vector<std::unique_ptr<Lookup>> lookups;
  std::vector<rt::Task<void>> told;

 private:
  rt::Task<void> Run(Lookup& lookup, unsigned number) {
    const TimePoint began = worker.Now();
    lookup.entry = co_await tier->Find(DigestOf(number), Scope{}, worker.Wall());
    lookup.took = worker.Now() - began;
    lookup.done = true;
  }
  static rt::Task<void> Await(std::optional<bool>& result, rt::Task<bool> purge) { result = co_await std::move(purge); }
};

TEST_F(RealRedis, StoresAndFinds) {
  test::RedisServer server({"--requirepass", "secret"});
  ASSERT_TRUE(OpenReady("redis://:secret@" + server.place() + "/2"));
  const std::string large(3'000'000, 'x');
  Store(1, "one");
  Store(2, large);
  EXPECT_EQ(Found(1), "one");
  EXPECT_TRUE(Found(2) == large);
  EXPECT_EQ(Found(3), "");
  tier->Remove(DigestOf(1));
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().stores_failed, 0u);
}

TEST_F(RealRedis, R_01_KilledAndBack) {
  test::RedisServer server;
  ASSERT_TRUE(OpenReady("redis://" + server.place()));
  Store(1, "one");
  EXPECT_EQ(Found(1), "one");
  server.Kill();
  EXPECT_EQ(Found(1), "");
  EXPECT_TRUE(Until([&] { return !tier->ready(); }));
  EXPECT_TRUE(Find(1).done);
  server.Start();
  ASSERT_TRUE(Until([&] { return tier->ready(); }));
  Store(1, "new");
  EXPECT_EQ(Found(1), "new");
}

TEST_F(RealRedis, R_02_StoppedAndBack) {
  test::RedisServer server;
  timeout = 200ms;
  ASSERT_TRUE(OpenReady("redis://" + server.place()));
  Store(1, "one");
  EXPECT_EQ(Found(1), "one");
  server.Stop();
  Lookup& delayed = Find(1);
  ASSERT_TRUE(Until([&] { return delayed.done; }));
  EXPECT_FALSE(delayed.entry.has_value());
  EXPECT_FALSE(tier->ready());
  Pass(1500ms);  // the kernel still accepts, and the breaker is not fooled
  EXPECT_FALSE(tier->ready());
  EXPECT_TRUE(Find(1).done);
  server.Continue();
  ASSERT_TRUE(Until([&] { return tier->ready(); }, 5s));
  EXPECT_EQ(Found(1), "one");
}

TEST_F(RealRedis, R_07_WrongPassword) {
  test::RedisServer server({"--requirepass", "secret"});
  const Instance& wrong = Open("redis://:wrong@" + server.place());
  EXPECT_TRUE(Until([&] { return !wrong.said.empty() && wrong.said.back() == RedisTrouble::kLogin; }));
  EXPECT_FALSE(tier->ready());
}

TEST_F(RealRedis, R_07_ReadOnlyReplica) {
  test::RedisServer server({"--replicaof", "127.0.0.1 1"});
  ASSERT_TRUE(OpenReady("redis://" + server.place()));
  Store(1, "one");
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(tier->stats().stores_failed, 1u);
  EXPECT_TRUE(tier->ready());
}

TEST_F(RealRedis, R_08_EvictionUnderLoad) {
  test::RedisServer server({"--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru"});
  ASSERT_TRUE(OpenReady("redis://" + server.place()));
  const std::string text(100'000, 'x');
  unsigned hits = 0;
  for (unsigned i = 0; i < 300; ++i) {
    Store(i, text);
    hits += Found(i) == text ? 1 : 0;
  }
  EXPECT_GT(hits, 250u);
  // 30 MB do not fit into 10: some are gone, and none is another's.
  unsigned left = 0;
  for (unsigned i = 0; i < 300; ++i) left += Found(i) == text ? 1 : 0;
  EXPECT_GT(left, 20u);
  EXPECT_LT(left, 110u);
  EXPECT_EQ(tier->stats().corrupt, 0u);
}

TEST_F(RealRedis, K_18_PurgesAreObeyedByTheOtherWithinASecond) {
  test::RedisServer server;
  Instance& other = Open("redis://" + server.place());
  Instance& self = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return self.tier.ready() && other.tier.ready(); }));
  Store(1, "one");
  EXPECT_EQ(Found(1), "one");
  for (const std::string name : {"all", "tenant:Some One", "model:m"}) {
    EXPECT_TRUE(PurgeEpoch(self, name));
    EXPECT_TRUE(Until([&] { return other.epochs.Of(name).load() == 1; }, 1s)) << name;
    EXPECT_TRUE(PurgeEpoch(other, name));
    EXPECT_TRUE(Until([&] { return self.epochs.Of(name).load() == 2; }, 1s)) << name;
  }
  EXPECT_TRUE(Told(self.tier.PurgeKey(DigestOf(1))));
  EXPECT_TRUE(Until([&] { return other.heard.purged == std::vector{DigestOf(1)}; }, 1s));
  EXPECT_EQ(Found(1), "");
  EXPECT_EQ(server.Say("HGET penstock:epochs all"), "$1\r\n2\r\n");
  EXPECT_EQ(server.Say("ZCARD penstock:purged"), ":1\r\n");
  EXPECT_FALSE(self.purges.owes());
}

TEST_F(RealRedis, K_18_AWriteBehindThePurgeIsNotServed) {
  test::RedisServer server;
  Instance& self = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return self.tier.ready(); }));
  Store(1, "one");
  EXPECT_EQ(Found(1), "one");
  const std::string hex = HexString(DigestOf(1));
  EXPECT_EQ(server.Say("RENAME penstock:2:" + hex + " penstock:late"), "+OK\r\n");
  self.purges.SetHeard(3'000'000'000'000'000);  // of another server, whose clock was ahead
  EXPECT_TRUE(Told(self.tier.PurgeKey(DigestOf(1))));
  EXPECT_EQ(server.Say("ZSCORE penstock:purged " + hex), "$16\r\n3000000000000001\r\n");
  EXPECT_EQ(server.Say("RENAME penstock:late penstock:2:" + hex), "+OK\r\n");
  EXPECT_EQ(Found(1), "");
  Instance& newcomer = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return newcomer.tier.ready(); }));
  EXPECT_EQ(newcomer.purges.heard(), 3'000'000'000'000'001u);
  EXPECT_EQ(Found(1), "");
}

TEST_F(RealRedis, K_18_ACutConnectionObeysBeforeItUsesRedis) {
  test::RedisServer server;
  Instance& other = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return other.tier.ready(); }));
  // While both are cut off, somebody purges; nobody of us hears it.
  EXPECT_NE(server.Say("CLIENT KILL TYPE pubsub"), "");
  EXPECT_EQ(server.Say("HSET penstock:epochs tenant:t 7"), ":1\r\n");
  EXPECT_EQ(server.Say("ZADD penstock:purged 5 " + std::string(64, 'a')), ":1\r\n");
  const std::uint64_t before = other.purges.hearing();
  ASSERT_TRUE(Until([&] { return other.purges.hearing() > before; }));
  EXPECT_FALSE(other.tier.ready());
  ASSERT_TRUE(Until([&] { return other.tier.ready(); }, 2s));
  EXPECT_EQ(other.epochs.Of("tenant:t").load(), 7u);
  EXPECT_EQ(other.purged, std::vector{*ParseDigest(std::string(64, 'a'))});
  // The tier's own connection, this time.
  EXPECT_EQ(server.Say("HSET penstock:epochs tenant:t 8"), ":0\r\n");
  const std::uint64_t connects = other.tier.stats().connects;
  EXPECT_NE(server.Say("CLIENT KILL TYPE normal"), "");
  ASSERT_TRUE(Until([&] { return other.tier.stats().connects > connects && other.tier.ready(); }));
  EXPECT_EQ(other.epochs.Of("tenant:t").load(), 8u);
}

TEST_F(RealRedis, K_18_ARestartedServerGetsTheHigherEpochsBack) {
  test::RedisServer server;
  Instance& first = Open("redis://" + server.place());
  Instance& second = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return first.tier.ready() && second.tier.ready(); }));
  EXPECT_TRUE(PurgeEpoch(first, "all"));
  server.Kill();
  ASSERT_TRUE(Until([&] { return !first.tier.ready() && !second.tier.ready(); }));
  EXPECT_FALSE(PurgeEpoch(second, "model:m"));
  EXPECT_FALSE(Told(second.tier.PurgeKey(DigestOf(3))));
  for (int i = 0; i < 500; ++i) first.epochs.RaiseTo("tenant:" + std::to_string(i), i + 1);
  server.Start();
  ASSERT_TRUE(Until([&] { return first.tier.ready() && second.tier.ready(); }));
  ASSERT_TRUE(Until([&] { return !second.purges.owes() && first.epochs.Of("model:m").load() == 1; }));
  EXPECT_TRUE(Until([&] { return second.epochs.Of("tenant:499").load() == 500; }));
  EXPECT_EQ(server.Say("HLEN penstock:epochs"), ":502\r\n");
  EXPECT_EQ(server.Say("HGET penstock:epochs all"), "$1\r\n1\r\n");
  EXPECT_TRUE(Until([&] { return first.heard.purged.size() + first.purged.size() == 1; }));
}

TEST_F(RealRedis, R_02_UsedAgainWithinTwoSeconds) {
  test::RedisServer server;
  timeout = 200ms;
  Instance& self = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return self.tier.ready(); }));
  server.Stop();
  EXPECT_TRUE(Until([&] { return !self.tier.ready(); }, 2s));  // by the listener: nothing was looked up
  server.Continue();
  EXPECT_TRUE(Until([&] { return self.tier.ready(); }, 2s));
}

TEST_F(RealRedis, R_07_ForeignValuesUnderOurKeys) {
  test::RedisServer server;
  ASSERT_TRUE(OpenReady("redis://" + server.place()));
  instances.clear();
  EXPECT_EQ(server.Say("HSET penstock:epochs all none tenant:t 1e300 model:m 99999999999999999999 x -7"), ":4\r\n");
  Instance& self = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return self.tier.ready(); }));
  EXPECT_EQ(self.epochs.all().load(), 0u);
  for (const std::string name : {"all", "tenant:t", "model:m", "x"}) {
    EXPECT_TRUE(PurgeEpoch(self, name));
    EXPECT_EQ(server.Say("HGET penstock:epochs " + name), "$1\r\n1\r\n") << name;
  }
  EXPECT_EQ(server.Say("DEL penstock:epochs"), ":1\r\n");
  EXPECT_EQ(server.Say("SET penstock:epochs text"), "+OK\r\n");
  EXPECT_FALSE(PurgeEpoch(self, "all"));
  EXPECT_TRUE(Until([&] { return self.said.back() == RedisTrouble::kPurges; }));
  EXPECT_FALSE(self.tier.ready());
}

TEST_F(RealRedis, K_18_AClusterOfOne) {
  const test::TemporaryFolder folder;
  test::RedisServer server({"--cluster-enabled", "yes", "--cluster-port", std::to_string(test::RedisServer::FreePort()),
                            "--dir", folder.Path(".")});
  ASSERT_TRUE(Until([&] { return server.Say("PING") == "+PONG\r\n"; }));
  ASSERT_EQ(server.Say("CLUSTER ADDSLOTSRANGE 0 16383"), "+OK\r\n");
  mode = RedisMode::kCluster;
  Instance& other = Open("redis://" + server.place());
  Instance& self = Open("redis://" + server.place());
  ASSERT_TRUE(Until([&] { return self.tier.ready() && other.tier.ready(); }));
  Store(1, "one");
  EXPECT_EQ(Found(1), "one");
  EXPECT_TRUE(PurgeEpoch(self, "all"));
  EXPECT_TRUE(Until([&] { return other.epochs.all().load() == 1; }, 1s));
  EXPECT_TRUE(Told(self.tier.PurgeKey(DigestOf(1))));
  EXPECT_TRUE(Until([&] { return other.heard.purged.size() == 1; }, 1s));
  EXPECT_EQ(Found(1), "");
}

struct Denied {
  const char* name;
  const char* rule;
  bool listener;  ///< which of the two says so
};
class RedisRights : public RealRedis, public testing::WithParamInterface<Denied> {};

TEST_P(RedisRights, SaidOnceAndNotUsed) {
  test::RedisServer server;
  ASSERT_TRUE(Until([&] { return server.Say("PING") == "+PONG\r\n"; }));
  ASSERT_EQ(server.Say("ACL SETUSER gate on >secret ~penstock:* &penstock:purges +@all -@admin -@dangerous " +
                       std::string(GetParam().rule)),
            "+OK\r\n");
  Instance& self = Open("redis://gate:secret@" + server.place());
  const std::vector<RedisTrouble>& said = GetParam().listener ? self.heard.said : self.said;
  EXPECT_TRUE(Until([&] { return !said.empty(); }));
  Pass(2500ms);
  EXPECT_EQ(said, std::vector{RedisTrouble::kPurges});
  EXPECT_FALSE(self.tier.ready());
  EXPECT_EQ(server.Say("ACL SETUSER gate allkeys allchannels +@all"), "+OK\r\n");
  EXPECT_TRUE(Until([&] { return self.tier.ready(); }, 3s));
}
INSTANTIATE_TEST_SUITE_P(All, RedisRights,
                         testing::Values(Denied{"R_07_NoScripts", "-eval", false},
                                         Denied{"R_07_NoScanning", "-hscan", false},
                                         Denied{"R_07_NoSubscribing", "-subscribe", true},
                                         Denied{"R_07_OtherChannels", "resetchannels", true},
                                         Denied{"R_07_OtherKeys", "resetkeys ~penstock:2:*", false}),
                         [](const auto& each) { return std::string(each.param.name); });

class RedisTls : public RealRedis {
 protected:
  RedisTls() {
    const test::CertificateFiles files = authority.Issue("redis", {.ips = {"127.0.0.1"}});
    server = std::make_unique<test::RedisServer>(
        std::vector<std::string>{"--tls-cert-file", files.certificate, "--tls-key-file", files.private_key,
                                 "--tls-ca-cert-file", authority.file(), "--tls-auth-clients", "no", "--user",
                                 "default", "off", "--user", "gate", "on", ">secret", "~penstock:*", "&penstock:*",
                                 "+@all"},
        "--tls-port");
  }
  void Trust(const std::string& ca) {
    tls = *net::TlsClientContext::Make({.ca = ca, .offer_h2 = false, .offer_http1 = false});
  }
  std::string Place(const std::string& login) const { return "rediss://" + login + "@" + server->place(); }

  test::TemporaryFolder folder;
  test::CertificateAuthority authority{folder, "ours"};
  test::CertificateAuthority stranger{folder, "another"};
  std::unique_ptr<test::RedisServer> server;
};

TEST_F(RedisTls, StoresFindsAndPurges) {
  Trust(authority.file());
  ASSERT_TRUE(OpenReady(Place("gate:secret")));
  const std::string large(3'000'000, 'x');
  Store(1, "one");
  Store(2, large);
  EXPECT_EQ(Found(1), "one");
  EXPECT_TRUE(Found(2) == large);
  EXPECT_TRUE(PurgeEpoch(*instances.back(), "all"));
  EXPECT_TRUE(Told(tier->PurgeKey(DigestOf(1))));
  EXPECT_TRUE(Until([&] { return instances.back()->heard.purged.size() == 1; }, 1s));
  EXPECT_EQ(Found(1), "");
}

TEST_F(RedisTls, R_01_KilledAndBack) {
  Trust(authority.file());
  ASSERT_TRUE(OpenReady(Place("gate:secret")));
  server->Kill();
  ASSERT_TRUE(Until([&] { return !tier->ready(); }));
  server->Start();
  ASSERT_TRUE(Until([&] { return tier->ready(); }));
  Store(1, "one");
  EXPECT_EQ(Found(1), "one");
}

TEST_F(RedisTls, AnotherAuthorityIsToldOnce) {
  Trust(stranger.file());
  const Instance& self = Open(Place("gate:secret"));
  Pass(3s);
  EXPECT_FALSE(tier->ready());
  EXPECT_EQ(self.said, std::vector{RedisTrouble::kConnect});
  EXPECT_GT(tier->stats().connects, 1u);
}

TEST_F(RedisTls, R_07_WrongPassword) {
  Trust(authority.file());
  const Instance& self = Open(Place("gate:wrong"));
  EXPECT_TRUE(Until([&] { return !self.said.empty() && self.said.back() == RedisTrouble::kLogin; }));
}

}  // namespace
}  // namespace penstock::cache
