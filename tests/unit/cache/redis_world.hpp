#pragma once

// One worker on a simulated network, Redis servers that do what a test says, and lookups that note when they ended.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/cache/redis_tier.hpp"
#include "support/seed.hpp"
#include "support/sim_loop.hpp"
#include "unit/cache/fake_redis.hpp"

namespace penstock::cache {

struct NotedEvents final : RedisEvents {
  void OnPurgedKey(const Digest& digest) override { purged.push_back(digest); }
  void OnRedisServer(std::string_view server, RedisTrouble trouble) override {
    said.push_back(std::string(server) + " " + std::string(RedisTroubleName(trouble)));
  }
  std::vector<std::string> said;
  std::vector<Digest> purged;
};

/// One lookup and how it ended.
struct Lookup {
  bool hit() const { return done && entry.has_value(); }
  bool miss() const { return done && !entry.has_value(); }
  Duration took() const { return ended - began; }

  std::optional<Entry> entry;
  bool done = false;
  TimePoint began{};
  TimePoint ended{};
  rt::Task<void> task;
};

class RedisWorld : public testing::Test {
 protected:
  RedisWorld() { purges.SetHearing(true); }
  ~RedisWorld() override {
    lookups.clear();
    tier.reset();
    worker.EmptyGraves();
  }

  template <class Condition>
  bool Until(Condition done, Duration limit = 5s) {
    bool late = false;
    rt::Timer timer(&late, [](void* flag) { *static_cast<bool*>(flag) = true; });
    worker.Arm(timer, limit);
    rt::Worker* const all[] = {&worker};
    penstock::test::RunWorkers(
        network, all, [&] { return late || done(); }, limit * 2);
    return done();
  }
  void Pass(Duration time) {
    Until([] { return false; }, time);
  }

  RedisOptions OptionsFor(const Words& urls) {
    RedisOptions options;
    for (const std::string& url : urls) options.urls.push_back(*redis::Url::Parse(url));
    return options;
  }
  void Open(RedisOptions options) {
    tier = std::make_unique<RedisTier>(worker, resolver, std::move(options), purges, events);
  }
  bool OpenReady(RedisOptions options) {
    Open(std::move(options));
    return Until([&] { return tier->ready(); });
  }

  static Digest DigestOf(unsigned number) {
    Digest digest;
    for (std::size_t i = 0; i < digest.bytes.size(); ++i)
      digest.bytes[i] = static_cast<std::uint8_t>(number >> (i % 4 * 8));
    return digest;
  }
  static std::string TextOf(unsigned number) { return "answer " + std::to_string(number); }
  Entry EntryOf(unsigned number) const {
    Entry entry;
    entry.bytes = SharedBytes::Copy(TextOf(number));
    entry.scope = scope;
    entry.stored_at = wall;
    entry.expires_at = {wall.us + 300'000'000};
    entry.purges_heard = purges.heard();
    return entry;
  }
  void Store(unsigned number) { tier->Store(DigestOf(number), EntryOf(number), wall); }
  Lookup& Find(unsigned number) { return Find(*tier, number); }
  Lookup& Find(RedisTier& by, unsigned number) {
    lookups.push_back(std::make_unique<Lookup>());
    Lookup& lookup = *lookups.back();
    lookup.task = Run(lookup, by, DigestOf(number));
    lookup.task.Start();
    return lookup;
  }
  /// The text found, "" for a miss.
  std::string Found(unsigned number) { return Found(*tier, number); }
  std::string Found(RedisTier& by, unsigned number) {
    Lookup& lookup = Find(by, number);
    EXPECT_TRUE(Until([&] { return lookup.done; }));
    return lookup.entry ? std::string(lookup.entry->bytes.view()) : "";
  }

  penstock::test::Seed seed;
  penstock::test::SimNetwork network{seed.value()};
  rt::Worker worker{0, std::make_unique<penstock::test::SimLoop>(network), seed.value()};
  net::Resolver resolver;
  NotedEvents events;
  Epochs epochs;
  RedisPurges purges{epochs};  ///< as if somebody listened, where no test listens
  FakeRedis server{network, worker, 1};
  std::unique_ptr<RedisTier> tier;
  std::vector<std::unique_ptr<Lookup>> lookups;
  const Scope scope{7, 8};
  WallTime wall{1'700'000'000'000'000};

 private:
  rt::Task<void> Run(Lookup& lookup, RedisTier& by, Digest digest) {
    lookup.began = worker.Now();
    lookup.entry = co_await by.Find(digest, scope, wall);
    lookup.ended = worker.Now();
    lookup.done = true;
  }
};

}  // namespace penstock::cache
