#pragma once

// A RedisWorld whose process listens for purges, and other instances beside it.

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "penstock/cache/redis_listener.hpp"
#include "unit/cache/redis_world.hpp"

namespace penstock::cache {

/// What comes of a purge, while its task lives.
struct Purge {
  std::optional<bool> told;
  rt::Task<void> task;
};

/// A second instance: another process, as far as the first can see.
struct Instance {
  Instance(rt::Worker& worker, net::Resolver& resolver, const RedisOptions& options)
      : listener(std::make_unique<RedisListener>(worker, resolver, options, purges, heard)),
        tier(std::make_unique<RedisTier>(worker, resolver, options, purges, events)) {}

  NotedEvents heard;
  NotedEvents events;
  Epochs epochs;
  RedisPurges purges{epochs};
  std::unique_ptr<RedisListener> listener;
  std::unique_ptr<RedisTier> tier;
};

class RedisPurgeWorld : public RedisWorld {
 protected:
  RedisPurgeWorld() { purges.SetHearing(false); }
  ~RedisPurgeWorld() override {
    told.clear();
    instances.clear();
    listener.reset();
  }
  void Listen(const RedisOptions& options) {
    listener = std::make_unique<RedisListener>(worker, resolver, options, purges, heard);
  }
  bool OpenBoth() {
    Listen(OptionsFor({server.url()}));
    return OpenReady(OptionsFor({server.url()}));
  }
  Instance& Another() { return Another(server.url()); }
  Instance& Another(const std::string& url) {
    instances.push_back(std::make_unique<Instance>(worker, resolver, OptionsFor({url})));
    EXPECT_TRUE(Until([&] { return instances.back()->tier->ready(); }));
    return *instances.back();
  }
  Purge& PurgeEpoch(RedisTier& by, Epochs& of, const std::string& name) {
    return Start(by.PublishEpoch(name, of.Raise(name)));
  }
  Purge& Start(rt::Task<bool> task) {
    told.push_back(std::make_unique<Purge>());
    told.back()->task = Await(*told.back(), std::move(task));
    told.back()->task.Start();
    return *told.back();
  }
  bool Told(Purge& purge) {
    EXPECT_TRUE(Until([&] { return purge.told.has_value(); }));
    return purge.told.value_or(false);
  }
  std::uint64_t Value(const std::string& name) { return epochs.Of(name).load(); }

  NotedEvents heard;
  std::unique_ptr<RedisListener> listener;
  std::vector<std::unique_ptr<Instance>> instances;
  std::vector<std::unique_ptr<Purge>> told;

 private:
  static rt::Task<void> Await(Purge& purge, rt::Task<bool> task) { purge.told = co_await std::move(task); }
};

}  // namespace penstock::cache
