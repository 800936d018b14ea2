#include <gmock/gmock.h>

#include "support.hpp"

namespace penstock::config {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// No value is a default: what the reader or the writer drops shows.
constexpr std::string_view kEverything = R"(
server:
  listeners:
    - address: "[::1]:8443"
      tls: {certificate: /c.pem, private_key: /k.pem, client_ca: /a.pem}
    - {address: "unix:/run/p.sock"}
  workers: 3
  pin_workers: false
  event_loop: epoll
  drain: {delay: 0, timeout: 1500ms}
  expose_upstream: true
  half_close_is_abort: false
  trusted_proxies: [10.0.0.0/8, "::1"]
  forward_headers: [X-Team, x-other]
  zones: [z, y]
  sse_keepalive: 0
  limits:
    request_body: 1GiB
    header_count: 50
    body_min_rate: 3KiB/s
    idle_timeout: 5m
    connections_per_ip: 7
    glitches: {burst: 500, per_second: 2.5}
admin: {address: "0.0.0.0:9901", key: s3cr3t}
log: {level: debug, format: text, access: ./access.log, prompts: true}
models:
  - {name: a, aliases: [b, c], upstream_name: "the a", cluster: one, revision: r2, cache: {ttl: 0, store: opt_in}}
  - {name: d, cluster: two}
clusters:
  - name: one
    endpoints:
      - {url: "https://h/v1/", name: left, weight: 2, max_concurrency: 9, zone: z, kind: vllm, protocol: h2, stream_upstream: off,
         api_key: t0k3n, tls: {ca: /ca.pem, server_name: other.example}}
      - {url: "http://[::1]:9000"}
    balancer: {policy: consistent_hash, key: "header:X-Team", slow_start: 30s}
    connections: {min: 1, max: 2, max_streams: 3, idle_timeout: 4s}
    health_check: {path: /ping, interval: 2s, timeout: 300ms, unhealthy_after: 4, healthy_after: 5, metrics: true,
                   warmup: {model: a, api: completions, timeout: 7s}}
    timeouts: {connect: 1s, headers: 2s, first_token: 3s, idle: 4s, total: 5h}
    retry: {attempts: 5, on: [reset, 418], unproven: false, retry_after_max: 60s}
  - {name: two, endpoints: [{url: "http://i"}], retry: {on: []}, balancer: {policy: consistent_hash, key: "prefix:4KiB"}}
cache:
  enabled: false
  ttl: 1h
  partition: none
  store: always
  max_entry: 1MiB
  coalesce: false
  memory: {size: 64MiB, shards: 5, policy: lru, compress_after: 0}
  redis: {urls: ["redis://h", "rediss://u:***@[::1]:6380/2"], mode: sentinel, master: m, connect_timeout: 1s, timeout: 2ms, in_flight_max: 7}
  disk: {path: /c, size: 4MiB}
auth:
  keys: [{name: t, key_sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, models: [a]}]
  allow_anonymous: true
)";

TEST(ConfigDump, LoadsBackToTheSameConfig) {
  const LoadResult first = LoadText(kEverything, "f");
  ASSERT_TRUE(first.ok()) << Errors(first);
  const std::string dump = Dump(*first.config);
  const LoadResult second = LoadText(dump, "dump");
  ASSERT_TRUE(second.ok()) << Errors(second) << dump;
  EXPECT_EQ(Dump(*second.config), dump);
  EXPECT_THAT(RestartKeys(*first.config, *second.config), IsEmpty());
}

TEST(ConfigLoad, FillsTheStructs) {
  using namespace std::chrono_literals;
  const LoadResult result = LoadText(kEverything, "f");
  ASSERT_TRUE(result.ok()) << Errors(result);
  const Config& config = *result.config;
  EXPECT_EQ(config.server.listeners[0].address.port, 8443);
  EXPECT_TRUE(config.server.listeners[0].tls.enabled());
  EXPECT_EQ(config.server.listeners[1].address.unix_path, "/run/p.sock");
  EXPECT_EQ(config.server.workers, 3u);
  EXPECT_EQ(config.server.event_loop, EventLoop::kEpoll);
  EXPECT_EQ(config.server.drain.timeout, 1500ms);
  EXPECT_THAT(config.server.forward_headers, ElementsAre("x-team", "x-other"));
  EXPECT_THAT(config.server.zones, ElementsAre("z", "y"));
  EXPECT_EQ(config.server.limits.body_min_rate, 3 * kKiB);
  EXPECT_EQ(config.server.limits.http2_idle_timeout(), 300s);
  EXPECT_EQ(Limits{}.http2_idle_timeout(), 180s);
  EXPECT_EQ(config.server.limits.glitches.per_second, 2.5);
  EXPECT_EQ(config.server.limits.resets_received.burst, 200u);
  EXPECT_EQ(config.log.access, (AccessLog{AccessLog::Kind::kFile, "./access.log"}));
  EXPECT_EQ(config.models[1].upstream_name, "d");
  const Endpoint& endpoint = config.clusters[0].endpoints[0];
  EXPECT_EQ(endpoint.url.ToString(), "https://h:443/v1");
  EXPECT_EQ(endpoint.stream_upstream, StreamUpstream::kOff);
  EXPECT_EQ(endpoint.api_key.reveal(), "t0k3n");
  EXPECT_EQ(config.clusters[0].endpoints[1].name, "[::1]:9000");
  EXPECT_EQ(config.clusters[0].balancer.key, (HashKey{HashKey::Source::kHeader, "x-team", HashKey::kPrefixDefault}));
  EXPECT_EQ(config.clusters[0].balancer.slow_start, Duration(30s));
  EXPECT_EQ(config.clusters[1].balancer.key, (HashKey{HashKey::Source::kPrefix, "", 4 * kKiB}));
  EXPECT_EQ(config.clusters[1].balancer.policy, BalancerPolicy::kConsistentHash);
  EXPECT_EQ(config.clusters[0].health_check.warmup, (Warmup{"a", WarmupApi::kCompletions, Duration(7s)}));
  EXPECT_EQ(config.clusters[0].connections.idle_timeout, Duration(4s));
  EXPECT_EQ(config.clusters[1].connections.idle_timeout, std::nullopt);
  EXPECT_THAT(config.clusters[0].retry.on, ElementsAre(RetryCondition::kReset, RetryOnStatus(418)));
  EXPECT_TRUE(config.clusters[0].retry.Covers(RetryOnStatus(418)));
  EXPECT_FALSE(config.clusters[0].retry.Covers(RetryOnStatus(503)));
  EXPECT_THAT(config.clusters[1].retry.on, IsEmpty());
  EXPECT_TRUE(Retry{}.Covers(RetryCondition::kConnect));
}

TEST(ConfigLoad, FillsTheCache) {
  using namespace std::chrono_literals;
  const LoadResult result = LoadText(kEverything, "f");
  ASSERT_TRUE(result.ok()) << Errors(result);
  const Cache& cache = result.config->cache;
  EXPECT_FALSE(cache.enabled);
  EXPECT_EQ(cache.ttl, 1h);
  EXPECT_EQ(cache.partition, CachePartition::kNone);
  EXPECT_EQ(cache.store, CacheStore::kAlways);
  EXPECT_EQ(cache.max_entry, kMiB);
  EXPECT_FALSE(cache.coalesce);
  EXPECT_EQ(cache.memory.size, 64 * kMiB);
  EXPECT_EQ(cache.memory.shards, 5u);
  EXPECT_EQ(cache.memory.policy, CacheEviction::kLru);
  EXPECT_EQ(cache.memory.compress_after, 0u);
  ASSERT_EQ(cache.redis.urls.size(), 2u);
  EXPECT_EQ(cache.redis.urls[0].reveal(), "redis://h");
  EXPECT_EQ(cache.redis.mode, RedisMode::kSentinel);
  EXPECT_EQ(cache.redis.master, "m");
  EXPECT_EQ(cache.redis.connect_timeout, 1s);
  EXPECT_EQ(cache.redis.timeout, 2ms);
  EXPECT_EQ(cache.redis.in_flight_max, 7u);
  EXPECT_EQ(cache.disk.path, "/c");
  EXPECT_EQ(cache.disk.size, 4 * kMiB);
  const std::vector<Model>& models = result.config->models;
  EXPECT_EQ(models[0].revision, "r2");
  EXPECT_EQ(models[0].cache.ttl, Duration(0));
  EXPECT_EQ(models[0].cache.store, CacheStore::kOptIn);
  EXPECT_EQ(models[1].revision, "");
  EXPECT_EQ(models[1].cache.ttl, std::nullopt);
  EXPECT_EQ(models[1].cache.store, std::nullopt);
}

TEST(ConfigRestart, NamesTheKeysThatOnlyTakeEffectAtAStart) {
  const Config running = *LoadText(kEverything, "f").config;
  const auto changed = [&](auto change) {
    Config wanted = running;
    change(wanted);
    return RestartKeys(running, wanted);
  };
  EXPECT_THAT(changed([](Config&) {}), IsEmpty());
  EXPECT_THAT(changed([](Config& c) { c.server.workers = 4; }), ElementsAre("server.workers"));
  EXPECT_THAT(changed([](Config& c) { c.server.workers.reset(); }), ElementsAre("server.workers"));
  EXPECT_THAT(changed([](Config& c) {
                c.server.pin_workers = true;
                c.server.event_loop = EventLoop::kAuto;
              }),
              ElementsAre("server.pin_workers", "server.event_loop"));
  EXPECT_THAT(changed([](Config& c) { c.server.listeners[1].address.unix_path = "/x"; }),
              ElementsAre("server.listeners[1].address"));
  EXPECT_THAT(changed([](Config& c) { c.server.listeners.pop_back(); }), ElementsAre("server.listeners"));
  EXPECT_THAT(changed([](Config& c) { c.admin.address.port = 1; }), ElementsAre("admin.address"));
  EXPECT_THAT(changed([](Config& c) { c.cache.redis.urls[1] = Secret("rediss://u:new@[::1]:6380/2"); }),
              ElementsAre("cache.redis.urls"))
      << "passwords are spelled alike and still differ";
  EXPECT_THAT(changed([](Config& c) {
                c.cache.partition = CachePartition::kKey;
                c.cache.memory = {};
                c.cache.redis = {};
                c.cache.disk = {};
              }),
              ElementsAre("cache.partition", "cache.memory.size", "cache.memory.shards", "cache.memory.policy",
                          "cache.memory.compress_after", "cache.redis.urls", "cache.redis.mode", "cache.redis.master",
                          "cache.redis.connect_timeout", "cache.redis.timeout", "cache.redis.in_flight_max",
                          "cache.disk.path", "cache.disk.size"));
  EXPECT_THAT(changed([](Config& c) {
                c.server.listeners[0].tls.certificate = "/new.pem";
                c.server.drain.delay = std::chrono::seconds(1);
                c.log.level = LogLevel::kError;
                c.models.clear();
                c.clusters.clear();
                c.cache.enabled = true;
                c.cache.ttl = std::chrono::seconds(1);
                c.cache.store = CacheStore::kOptIn;
                c.cache.max_entry = 2 * kMiB;
                c.cache.coalesce = true;
              }),
              IsEmpty())
      << "reloadable";
}

TEST(ConfigNames, EveryEnumerationPrintsItsWord) {
  EXPECT_EQ(Name(EndpointKind::kLlamacpp), "llamacpp");
  EXPECT_EQ(Name(BalancerPolicy::kLeastLoad), "least_load");
  EXPECT_EQ(Name(UpstreamProtocol::kH2), "h2");
  EXPECT_EQ(Name(StreamUpstream::kOn), "on");
  EXPECT_EQ(Name(LogLevel::kWarn), "warn");
  EXPECT_EQ(Name(LogFormat::kJson), "json");
  EXPECT_EQ(Name(EventLoop::kEpoll), "epoll");
  EXPECT_EQ(Name(CachePartition::kNone), "none");
  EXPECT_EQ(Name(CacheStore::kOptIn), "opt_in");
  EXPECT_EQ(Name(CacheEviction::kS3Fifo), "s3fifo");
  EXPECT_EQ(Name(RedisMode::kSentinel), "sentinel");
}

}  // namespace
}  // namespace penstock::config
