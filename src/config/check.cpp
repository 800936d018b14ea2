#include "config/check.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "config/redis_url.hpp"

namespace penstock::config {
namespace {

std::string Index(std::string_view list, std::size_t i) { return std::string(list) + "[" + std::to_string(i) + "]"; }

/// Owned by one Worker.
class Checker {
 public:
  Checker(const Config& config, const YamlTree& tree, Problems& problems)
      : config_(config), tree_(tree), problems_(problems) {}

  void Run() {
    CheckListeners();
    CheckZones();
    CheckLimits();
    CheckAdmin();
    CheckClusters();
    CheckModels();
    CheckCacheMemory();
    CheckCacheRedis();
    CheckAuth();
    CheckOverload();
  }

 private:
  void Error(const std::string& path, std::string message) {
    problems_.Error(tree_.Locate(path), path, std::move(message));
  }
  void Warning(const std::string& path, std::string message) {
    problems_.Warning(tree_.Locate(path), path, std::move(message));
  }

  /// Reports `path` when another value of the same text came before; empty text is a value that could not be
  /// read.
  void Unique(std::unordered_map<std::string, std::string>& places, const std::string& text, const std::string& path) {
    if (text.empty()) return;
    const auto [first, fresh] = places.emplace(text, path);
    if (!fresh) Error(path, "is the same as " + first->second);
  }

  void CheckListeners();
  void CheckZones();
  void CheckLimits();
  void CheckAdmin();
  void CheckClusters();
  void CheckCluster(const Cluster& cluster, const std::string& path);
  void CheckEndpoint(const Endpoint& endpoint, const std::string& path);
  void CheckBalancer(const Balancer& balancer, const std::string& path);
  void CheckWarmup(const Cluster& cluster, const std::string& path);
  void CheckModels();
  void CheckFallbacks(const Model& model, const std::vector<std::string>& names, const std::string& path);
  void CheckVariants(const Model& model, const std::string& path);
  void CheckRescueAndHedge(const Model& model, const std::string& path);
  const Cluster* ClusterOf(const std::string& model) const;
  void CheckCacheMemory();
  void CheckCacheRedis();
  void CheckAuth();
  void CheckOverload();

  struct NamedEndpoint {
    Url url;
    std::string path;
  };

  const Config& config_;
  const YamlTree& tree_;
  Problems& problems_;
  std::unordered_map<std::string, std::string> cluster_names_;
  std::unordered_map<std::string, NamedEndpoint> endpoints_;
};

void Checker::CheckListeners() {
  std::unordered_map<std::string, std::string> addresses;
  // An address that could not be read has no port and no path; several listeners may leave their port to the
  // kernel.
  const auto named = [](const SocketAddress& address) { return address.is_unix() || address.port != 0; };
  for (std::size_t i = 0; i < config_.server.listeners.size(); ++i) {
    const Listener& listener = config_.server.listeners[i];
    const std::string path = Index("server.listeners", i);
    if (named(listener.address)) Unique(addresses, listener.address.ToString(), path + ".address");
    const ListenerTls& tls = listener.tls;
    if (tls.certificate.empty() && !tls.private_key.empty())
      Error(path + ".tls", "certificate is missing beside private_key");
    if (!tls.certificate.empty() && tls.private_key.empty())
      Error(path + ".tls", "private_key is missing beside certificate");
    if (!tls.client_ca.empty() && !tls.enabled() && tls.private_key.empty())
      Error(path + ".tls", "client_ca needs certificate and private_key");
  }
  if (named(config_.admin.address)) Unique(addresses, config_.admin.address.ToString(), "admin.address");
}

void Checker::CheckZones() {
  std::unordered_map<std::string, std::string> places;
  const std::vector<std::string>& zones = config_.server.zones;
  for (std::size_t i = 0; i < zones.size(); ++i) {
    const std::string path = Index("server.zones", i);
    Unique(places, zones[i], path);
    const auto here = [&](const Endpoint& endpoint) { return endpoint.zone == zones[i]; };
    const bool used = std::any_of(config_.clusters.begin(), config_.clusters.end(), [&](const Cluster& cluster) {
      return std::any_of(cluster.endpoints.begin(), cluster.endpoints.end(), here);
    });
    if (!used && !zones[i].empty()) Warning(path, "no endpoint is in this zone");
  }
}

void Checker::CheckLimits() {
  const Limits& limits = config_.server.limits;
  const std::string path = "server.limits.";
  if (limits.response_hold > limits.response_body)
    Error(path + "response_hold", "must not be larger than response_body");
  if (limits.uri > limits.header_bytes) Error(path + "uri", "must not be larger than header_bytes");
  if (limits.streams_per_connection_total != 0 && limits.streams_per_connection_total < limits.streams_per_connection) {
    Error(path + "streams_per_connection_total", "must not be smaller than streams_per_connection");
  }
}

void Checker::CheckAdmin() {
  if (config_.admin.address.is_loopback() || !config_.admin.key.empty() || problems_.Knows("admin.key")) return;
  Error("admin.address", "is not a loopback address, so admin.key is required");
}

void Checker::CheckClusters() {
  for (std::size_t i = 0; i < config_.clusters.size(); ++i) {
    const Cluster& cluster = config_.clusters[i];
    const std::string path = Index("clusters", i);
    Unique(cluster_names_, cluster.name, path + ".name");
    CheckCluster(cluster, path);
  }
}

void Checker::CheckCluster(const Cluster& cluster, const std::string& path) {
  std::unordered_map<std::string, std::string> urls;
  for (std::size_t i = 0; i < cluster.endpoints.size(); ++i) {
    const Endpoint& endpoint = cluster.endpoints[i];
    const std::string place = Index(path + ".endpoints", i);
    if (endpoint.url.host.empty()) continue;
    Unique(urls, endpoint.url.ToString(), place + ".url");
    CheckEndpoint(endpoint, place);
  }
  CheckBalancer(cluster.balancer, path + ".balancer");
  CheckWarmup(cluster, path + ".health_check.warmup");
  if (cluster.connections.min > cluster.connections.max)
    Error(path + ".connections.min", "must not be larger than max");
  if (cluster.health_check.timeout > cluster.health_check.interval)
    Error(path + ".health_check.timeout", "must not be longer than interval");
  if (cluster.retry.backoff.base > cluster.retry.backoff.max)
    Error(path + ".retry.backoff.base", "must not be longer than max");
  if (cluster.circuit_breaker.open > cluster.circuit_breaker.open_max)
    Error(path + ".circuit_breaker.open", "must not be longer than open_max");
  if (cluster.timeouts.connect > cluster.timeouts.total)
    Error(path + ".timeouts.connect", "must not be longer than total");
}

void Checker::CheckEndpoint(const Endpoint& endpoint, const std::string& path) {
  // Metrics name endpoints without their cluster: one name must not mean two servers.
  const auto [known, fresh] = endpoints_.emplace(endpoint.name, NamedEndpoint{endpoint.url, path});
  if (!fresh && known->second.url != endpoint.url)
    Error(path + ".name", "is the name of " + known->second.path + ", which has another url");
  const EndpointTls& tls = endpoint.tls;
  if (!endpoint.url.https && (!tls.ca.empty() || !tls.server_name.empty() || !tls.verify)) {
    Error(path + ".tls", "has no effect on an http:// url");
  } else if (!tls.verify) {
    Warning(path + ".tls.verify", "the endpoint's certificate is not checked");
  }
}

void Checker::CheckBalancer(const Balancer& balancer, const std::string& path) {
  const bool hashes = balancer.policy == BalancerPolicy::kConsistentHash;
  const bool keyed = balancer.key.source != HashKey::Source::kNone;
  if (hashes && !keyed && !problems_.Knows(path + ".key"))
    Error(path + ".key", "is required by policy consistent_hash");
  if (!hashes && keyed) Error(path + ".key", "has no effect but with policy consistent_hash");
  if (balancer.policy == BalancerPolicy::kRoundRobin && balancer.slow_start > Duration::zero())
    Error(path + ".slow_start", "has no effect with policy round_robin, which regards no weights");
}

void Checker::CheckWarmup(const Cluster& cluster, const std::string& path) {
  const Warmup& warmup = cluster.health_check.warmup;
  if (!warmup.enabled()) return;
  const bool served = std::any_of(config_.models.begin(), config_.models.end(), [&](const Model& model) {
    return model.name == warmup.model && model.cluster == cluster.name;
  });
  if (!served) Error(path + ".model", "names no model of this cluster (aliases do not count)");
}

void Checker::CheckModels() {
  std::unordered_map<std::string, std::string> names;
  std::unordered_set<std::string> used;
  // With a cluster that could not be read, a name without a cluster may be that one's.
  const bool clusters_known =
      std::all_of(config_.clusters.begin(), config_.clusters.end(), [](const Cluster& c) { return !c.name.empty(); });
  for (std::size_t i = 0; i < config_.models.size(); ++i) {
    const Model& model = config_.models[i];
    const std::string path = Index("models", i);
    Unique(names, model.name, path + ".name");
    for (std::size_t j = 0; j < model.aliases.size(); ++j) Unique(names, model.aliases[j], Index(path + ".aliases", j));
    used.insert(model.cluster);
    if (model.cluster.empty() || !clusters_known || cluster_names_.empty()) continue;
    if (!cluster_names_.contains(model.cluster)) Error(path + ".cluster", "names no cluster of this file");
  }
  for (std::size_t i = 0; i < config_.models.size(); ++i) {
    const Model& model = config_.models[i];
    CheckFallbacks(model, model.fallbacks, Index("models", i) + ".fallbacks");
    CheckFallbacks(model, model.context_window_fallbacks, Index("models", i) + ".context_window_fallbacks");
    CheckVariants(model, Index("models", i) + ".variants");
    CheckRescueAndHedge(model, Index("models", i));
  }
  for (std::size_t i = 0; i < config_.clusters.size(); ++i) {
    const std::string& name = config_.clusters[i].name;
    if (!name.empty() && !used.contains(name)) Warning(Index("clusters", i), "no model uses this cluster");
  }
}

void Checker::CheckFallbacks(const Model& model, const std::vector<std::string>& names, const std::string& path) {
  std::unordered_map<std::string, std::string> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string place = Index(path, i);
    Unique(seen, names[i], place);
    const bool known = std::any_of(config_.models.begin(), config_.models.end(),
                                   [&](const Model& each) { return each.name == names[i]; });
    if (names[i] == model.name) {
      Error(place, "is the model itself");
    } else if (!known && !names[i].empty()) {
      Error(place, "names no model of this file (aliases do not count)");
    }
  }
}

void Checker::CheckVariants(const Model& model, const std::string& path) {
  std::unordered_map<std::string, std::string> seen;
  for (std::size_t i = 0; i < model.variants.size(); ++i) {
    const Variant& variant = model.variants[i];
    const std::string place = Index(path, i);
    Unique(seen, variant.model, place + ".model");
    const bool known = std::any_of(config_.models.begin(), config_.models.end(),
                                   [&](const Model& each) { return each.name == variant.model; });
    if (variant.model == model.name) {
      Error(place + ".model", "is the model itself");
    } else if (!known && !variant.model.empty()) {
      Error(place + ".model", "names no model of this file (aliases do not count)");
    }
    if (variant.below >= variant.above) Error(place + ".below", "must be less than above");
  }
}

/// Null when there is none, or it could not be read.
const Cluster* Checker::ClusterOf(const std::string& model) const {
  for (const Model& each : config_.models) {
    if (each.name != model) continue;
    for (const Cluster& cluster : config_.clusters) {
      if (!cluster.name.empty() && cluster.name == each.cluster) return &cluster;
    }
  }
  return nullptr;
}

void Checker::CheckRescueAndHedge(const Model& model, const std::string& path) {
  const Cluster* const own = ClusterOf(model.name);
  if (own == nullptr) return;
  if (model.hedge.enabled() && own->endpoints.size() == 1)
    Warning(path + ".hedge", "has no effect: its cluster has one endpoint, and a second request goes to another");
  if (model.rescue != Rescue::kContinue) return;
  const auto goes_on = [](const Cluster* cluster) {
    return cluster == nullptr || std::any_of(cluster->endpoints.begin(), cluster->endpoints.end(),
                                             [](const Endpoint& each) { return each.assistant_prefill; });
  };
  const bool any = goes_on(own) || std::any_of(model.fallbacks.begin(), model.fallbacks.end(),
                                               [&](const std::string& name) { return goes_on(ClusterOf(name)); });
  if (!any) {
    Warning(path + ".rescue",
            "no endpoint of its cluster or of its fallbacks' has assistant_prefill: nothing can be "
            "continued");
  }
}

// What an entry may take of the memory tier: an eighth of it all, so that one answer does not drive out most others,
// and half a shard, beyond which the tier refuses it.
void Checker::CheckCacheMemory() {
  const MemoryCache& memory = config_.cache.memory;
  const std::uint64_t max_entry = config_.cache.max_entry;
  if (!memory.size) return;
  if (*memory.size / 8 < max_entry) {
    Error("cache.memory.size", "must be at least " + PrintSize(8 * max_entry) + ", eight times cache.max_entry");
    return;
  }
  if (!memory.shards) return;
  // A power of two, as the tier rounds up to one.
  const std::uint64_t shards_max = std::bit_floor(*memory.size / (2 * max_entry));
  if (*memory.shards > shards_max) {
    Error("cache.memory.shards", "must be at most " + std::to_string(shards_max) +
                                     ", so that an answer of cache.max_entry is no more than half a shard");
  }
}

void Checker::CheckCacheRedis() {
  const RedisCache& redis = config_.cache.redis;
  if (redis.mode != RedisMode::kSingle && redis.urls.empty() && !problems_.Knows("cache.redis.urls"))
    Warning("cache.redis.mode", "has no effect without urls: Redis is not used");
  if (redis.mode == RedisMode::kSentinel && redis.master.empty())
    Error("cache.redis.master", "is required by mode sentinel");
  if (redis.mode != RedisMode::kSentinel && !redis.master.empty())
    Error("cache.redis.master", "has no effect but in mode sentinel");
  if (redis.mode == RedisMode::kSingle && redis.urls.size() > 1)
    Error("cache.redis.urls[1]", "is one too many: mode single takes one server");
  std::unordered_map<std::string, std::string> servers;
  for (std::size_t i = 0; i < redis.urls.size(); ++i) {
    const std::string path = Index("cache.redis.urls", i);
    const Parsed<RedisUrlParts> url = SplitRedisUrl(redis.urls[i].reveal());
    if (!url.has_value()) continue;  // reported when it was read
    Unique(servers, url->server, path);
    if (redis.mode == RedisMode::kCluster && url->database != 0)
      Error(path, "names a database, and a cluster has only 0");
  }
}

void Checker::CheckAuth() {
  const Auth& auth = config_.auth;
  std::unordered_map<std::string, std::string> names;
  std::unordered_map<std::string, std::string> digests;
  std::unordered_set<std::string> models{"*"};
  for (const Model& model : config_.models) models.insert(model.name);
  for (std::size_t i = 0; i < auth.keys.size(); ++i) {
    const ApiKey& key = auth.keys[i];
    const std::string path = Index("auth.keys", i);
    Unique(names, key.name, path + ".name");
    if (key.name == kAnonymous) Error(path + ".name", "is what requests without a key are called");
    if (key.key_sha256 != Digest{}) Unique(digests, HexString(key.key_sha256), path + ".key_sha256");
    for (std::size_t j = 0; j < key.models.size(); ++j) {
      if (!key.models[j].empty() && !models.contains(key.models[j]))
        Error(Index(path + ".models", j), "names no model of this file (aliases do not count)");
    }
    if (key.models.empty()) Warning(path + ".models", "is empty: this key may use no model");
  }
  if (!auth.keys.empty() || auth.allow_anonymous) return;
  for (std::size_t i = 0; i < config_.server.listeners.size(); ++i) {
    const SocketAddress& address = config_.server.listeners[i].address;
    if (address.is_loopback() || address == SocketAddress{}) continue;  // that one could not be read
    Error(Index("server.listeners", i) + ".address",
          "is not a loopback address, so auth.keys or auth.allow_anonymous is required");
  }
}

// A later threshold must not come before an earlier one; 0 is none.
void Checker::CheckOverload() {
  const Overload& overload = config_.overload;
  const auto rises = [this](auto lower, auto higher, const std::string& path, const char* name) {
    if (higher != decltype(higher){} && higher <= lower) Error(path, std::string("must be more than ") + name);
  };
  rises(overload.memory.warning, overload.memory.critical, "overload.memory.critical", "warning");
  rises(std::max(overload.memory.warning, overload.memory.critical), overload.memory.reset, "overload.memory.reset",
        "critical");
  rises(overload.cpu.warning, overload.cpu.critical, "overload.cpu.critical", "warning");
  rises(overload.loop_lag.warning, overload.loop_lag.critical, "overload.loop_lag.critical", "warning");
  rises(overload.fds.warning, overload.fds.critical, "overload.fds.critical", "warning");
  rises(overload.watchdog.stall, overload.watchdog.abort, "overload.watchdog.abort", "stall");
}

}  // namespace

void Complete(Config& config) {
  for (Model& model : config.models) {
    if (model.upstream_name.empty()) model.upstream_name = model.name;
  }
  for (Cluster& cluster : config.clusters) {
    for (Endpoint& endpoint : cluster.endpoints) {
      if (endpoint.name.empty() && !endpoint.url.host.empty()) endpoint.name = endpoint.url.Authority();
    }
  }
}

void Check(const Config& config, const YamlTree& tree, Problems& problems) { Checker(config, tree, problems).Run(); }

}  // namespace penstock::config
