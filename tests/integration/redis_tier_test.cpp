// The Redis tier against the distribution's redis-server: what a simulated one cannot prove.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "integration/redis_server.hpp"
#include "penstock/cache/redis_tier.hpp"

namespace penstock::cache {
namespace {

using namespace std::chrono_literals;

struct Lookup {
  std::optional<Entry> entry;
  bool done = false;
  Duration took{};
  rt::Task<void> task;
};

class RealRedis : public testing::Test, public RedisEvents {
 protected:
  ~RealRedis() override {
    lookups.clear();
    tier.reset();
    worker.EmptyGraves();
  }

  template <class Condition>
  bool Until(Condition done, Duration limit = 10s) {
    bool late = false;
    rt::Timer timer(&late, [](void* flag) { *static_cast<bool*>(flag) = true; });
    worker.Arm(timer, limit);
    while (!late && !done()) worker.RunTurn();
    return done();
  }
  void Pass(Duration time) {
    Until([] { return false; }, time);
  }
  void Open(const std::string& url, std::size_t entry_max = 4 << 20) {
    RedisOptions options;
    options.urls.push_back(*redis::Url::Parse(url));
    options.entry_max = entry_max;
    options.timeout = timeout;
    tier = std::make_unique<RedisTier>(worker, resolver, std::move(options), *this);
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

  // Far above the product's 20 ms, because a loaded test machine may pause either process for longer.
  Duration timeout = 2s;
  rt::Worker worker{0, rt::MakeEpollLoop(), 1};
  net::Resolver resolver;
  std::unique_ptr<RedisTier> tier;
  std::vector<std::unique_ptr<Lookup>> lookups;
  std::vector<RedisTrouble> said;

 private:
  void OnRedisServer(std::string_view, RedisTrouble trouble) override { said.push_back(trouble); }
  rt::Task<void> Run(Lookup& lookup, unsigned number) {
    const TimePoint began = worker.Now();
    lookup.entry = co_await tier->Find(DigestOf(number), Scope{}, worker.Wall());
    lookup.took = worker.Now() - began;
    lookup.done = true;
  }
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
  Open("redis://:wrong@" + server.place());
  EXPECT_TRUE(Until([&] { return !said.empty() && said.back() == RedisTrouble::kLogin; }));
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

}  // namespace
}  // namespace penstock::cache
