#include "penstock/control/snapshot_builder.hpp"

#include <algorithm>

#include "penstock/llm/splice.hpp"
#include "penstock/upstream/kind_quirks.hpp"

namespace penstock::control {
namespace {

http::H2Limits::Bucket BucketOf(const config::EventBudget& budget) {
  return {static_cast<double>(budget.burst), budget.per_second};
}

std::shared_ptr<const server::Options> ServerOptions(const config::Server& server) {
  const config::Limits& limits = server.limits;
  server::Options options;
  options.h1.header_bytes = limits.header_bytes;
  options.h1.header_count = limits.header_count;
  options.h1.uri = limits.uri;
  options.h1.body = limits.request_body;
  options.h2.max_concurrent_streams = limits.streams_per_connection;
  options.h2.header_bytes = limits.header_bytes;
  options.h2.header_count = limits.header_count;
  options.h2.uri = limits.uri;
  options.h2.resets_received = BucketOf(limits.resets_received);
  options.h2.resets_sent = BucketOf(limits.resets_sent);
  options.h2.glitches = BucketOf(limits.glitches);
  options.h2.pings = BucketOf(limits.pings);
  options.h2.settings = BucketOf(limits.settings);
  options.h2.empty_frames = limits.empty_frames;
  options.h2.continuations = limits.continuations;
  options.h2.control_frames_queued = limits.control_frames_queued;
  options.h2.streams_total = limits.streams_per_connection_total;
  options.header_timeout = limits.header_timeout;
  options.body_timeout = limits.body_timeout;
  options.body_min_rate = limits.body_min_rate;
  options.slow_reader_timeout = limits.slow_reader_timeout;
  options.idle_timeout = limits.idle_timeout;
  options.idle_timeout_h2 = limits.http2_idle_timeout();
  options.requests_per_connection = limits.requests_per_connection;
  options.connections = limits.connections;
  options.connections_per_ip = limits.connections_per_ip;
  options.half_close_is_abort = server.half_close_is_abort;
  return std::make_shared<const server::Options>(options);
}

upstream::PoolProtocol ProtocolOf(const config::Endpoint& endpoint) {
  switch (endpoint.protocol) {
    case config::UpstreamProtocol::kHttp1: return upstream::PoolProtocol::kHttp1;
    case config::UpstreamProtocol::kH2: return upstream::PoolProtocol::kHttp2;
    case config::UpstreamProtocol::kAuto: break;
  }
  return endpoint.url.https ? upstream::PoolProtocol::kAlpn : upstream::PoolProtocol::kHttp1;
}

std::string_view BalancerName(config::BalancerPolicy policy) { return config::Name(policy); }

policy::RetryRules RetryRulesOf(const config::Retry& retry) {
  policy::RetryRules rules;
  rules.attempts_max = retry.attempts;
  rules.unproven = retry.unproven;
  rules.on = policy::RetryOn();
  rules.on.connect = retry.Covers(config::RetryCondition::kConnect);
  rules.on.reset = retry.Covers(config::RetryCondition::kReset);
  rules.on.timeout = retry.Covers(config::RetryCondition::kTimeout);
  for (const config::RetryCondition condition : retry.on) rules.on.AddStatus(static_cast<std::uint16_t>(condition));
  return rules;
}

proxy::Breakers::Rules BreakerRulesOf(const config::Cluster& cluster, bool has_fallback) {
  const config::CircuitBreaker& breaker = cluster.circuit_breaker;
  return {.breaker = {.consecutive_failures = breaker.consecutive_failures,
                      .failure_ratio = breaker.failure_ratio,
                      .window = breaker.window,
                      .min_requests = breaker.min_requests,
                      .open = breaker.open,
                      .open_max = breaker.open_max,
                      .healthy_after = cluster.health_check.healthy_after},
          .ejections_allowed = policy::EjectionsAllowed(static_cast<std::uint32_t>(cluster.endpoints.size()),
                                                        breaker.max_ejected, has_fallback)};
}

cache::StorePolicy StorePolicyOf(config::CacheStore store) {
  switch (store) {
    case config::CacheStore::kDeterministic: return cache::StorePolicy::kDeterministic;
    case config::CacheStore::kAlways: return cache::StorePolicy::kAlways;
    case config::CacheStore::kOptIn: return cache::StorePolicy::kOptIn;
  }
  return cache::StorePolicy::kOptIn;
}

/// One snapshot under construction.
class Builder {
 public:
  Builder(const config::Config& config, const proxy::Snapshot* previous, telemetry::MetricRegistry& registry,
          cache::Epochs& epochs)
      : previous_(previous), registry_(registry), epochs_(epochs), snapshot_(std::make_shared<proxy::Snapshot>()) {
    snapshot_->config = config;
    snapshot_->generation = previous == nullptr ? 1 : previous->generation + 1;
  }

  BuildResult Build() {
    snapshot_->server_options = ServerOptions(snapshot_->config.server);
    AddListeners();
    for (std::size_t i = 0; i < snapshot_->config.clusters.size(); ++i)
      AddCluster(snapshot_->config.clusters[i], "clusters[" + std::to_string(i) + "]");
    AddModels();
    AddTenants();
    if (!errors_.empty()) return {nullptr, std::move(errors_)};
    return {std::move(snapshot_), {}};
  }

 private:
  void AddListeners() {
    const std::vector<config::Listener>& listeners = snapshot_->config.server.listeners;
    for (std::size_t i = 0; i < listeners.size(); ++i) {
      const config::Listener& listener = listeners[i];
      std::shared_ptr<const net::TlsServerContext> tls;
      if (listener.tls.enabled()) {
        auto made =
            net::TlsServerContext::Make({listener.tls.certificate, listener.tls.private_key, listener.tls.client_ca});
        if (made.has_value()) {
          tls = *made;
        } else {
          errors_.push_back({"server.listeners[" + std::to_string(i) + "].tls", made.error()});
        }
      }
      snapshot_->listener_tls.push_back(std::move(tls));
    }
  }

  void AddCluster(const config::Cluster& cluster, const std::string& path) {
    proxy::ClusterRoute& route = snapshot_->clusters.emplace_back();
    route.config = &cluster;
    route.retry = RetryRulesOf(cluster.retry);
    route.budget = TakeBudget(cluster);
    route.queue = TakeQueue(cluster);
    route.balancer = policy::FindBalancer(BalancerName(cluster.balancer.policy));
    for (std::size_t i = 0; i < cluster.endpoints.size(); ++i) {
      const config::Endpoint& endpoint = cluster.endpoints[i];
      upstream::PoolOptions options = PoolOptionsOf(cluster, endpoint, path + ".endpoints[" + std::to_string(i) + "]");
      route.endpoints.push_back(Take(cluster, endpoint, options.tls.get(), route.queue));
      route.pools.push_back(std::move(options));
    }
  }

  std::size_t workers() const { return snapshot_->config.server.workers.value_or(rt::UsableCores()); }

  /// The running budget of the same cluster, or a new one.
  std::shared_ptr<policy::RetryBudget> TakeBudget(const config::Cluster& cluster) const {
    if (previous_ != nullptr) {
      for (const proxy::ClusterRoute& known : previous_->clusters) {
        if (known.config->name == cluster.name && known.config->retry.budget == cluster.retry.budget)
          return known.budget;
      }
    }
    const config::RetryBudget& budget = cluster.retry.budget;
    return std::make_shared<policy::RetryBudget>(policy::RetryBudgetRules{budget.ratio, budget.min, budget.window},
                                                 static_cast<std::uint32_t>(workers()));
  }

  /// The running queue of the cluster of that name, whatever its limits are now: those who wait in it go on.
  std::shared_ptr<proxy::ClusterQueue> TakeQueue(const config::Cluster& cluster) const {
    if (previous_ != nullptr) {
      for (const proxy::ClusterRoute& known : previous_->clusters) {
        if (known.config->name == cluster.name) return known.queue;
      }
    }
    return std::make_shared<proxy::ClusterQueue>(registry_, cluster.name);
  }

  /// The running breakers of the same model, when they are of the same endpoints, or new ones.
  std::shared_ptr<proxy::Breakers> TakeBreakers(const config::Model& model, const proxy::ClusterRoute& cluster) const {
    const proxy::Breakers::Rules rules = BreakerRulesOf(*cluster.config, !model.fallbacks.empty());
    if (previous_ != nullptr) {
      const proxy::ModelRoute* const known = previous_->FindModel(model.name);
      if (known != nullptr && known->name == model.name && known->breakers->rules() == rules &&
          previous_->clusters[known->cluster].endpoints == cluster.endpoints) {
        return known->breakers;
      }
    }
    return std::make_shared<proxy::Breakers>(rules, cluster.endpoints.size());
  }

  /// With what the running model of that name knows, when its rules and its cluster are the same.
  std::shared_ptr<proxy::Hedging> TakeHedging(const config::Model& model) const {
    const proxy::ModelRoute* const known = previous_ == nullptr ? nullptr : previous_->FindModel(model.name);
    if (known != nullptr && known->name == model.name) {
      const config::Model& was = previous_->config.models[static_cast<std::size_t>(known - previous_->models.data())];
      if (was.hedge == model.hedge && was.cluster == model.cluster) return known->hedging;
    }
    return std::make_shared<proxy::Hedging>(model.hedge, static_cast<std::uint32_t>(workers()));
  }

  /// The running endpoint of the same cluster with the same specification and trust, or a new one.
  std::shared_ptr<upstream::Endpoint> Take(const config::Cluster& cluster, const config::Endpoint& endpoint,
                                           const net::TlsClientContext* tls,
                                           const std::shared_ptr<proxy::ClusterQueue>& queue) {
    if (previous_ != nullptr) {
      for (const proxy::ClusterRoute& known : previous_->clusters) {
        if (known.config->name != cluster.name || !SamePoolRules(*known.config, cluster)) continue;
        for (std::size_t i = 0; i < known.endpoints.size(); ++i) {
          if (known.endpoints[i]->spec() == endpoint && SameTrust(known.pools[i].tls.get(), tls))
            return known.endpoints[i];
        }
      }
    }
    auto fresh = std::make_shared<upstream::Endpoint>(cluster.name, endpoint, registry_, queue);
    if (cluster.health_check.warmup.enabled() && !IsInUse(cluster, endpoint)) {
      fresh->load.SetUsable(false, TimePoint{});
      fresh->set_warming(true);
    }
    return fresh;
  }

  /// It serves already, under rules that change: nothing is cold there.
  bool IsInUse(const config::Cluster& cluster, const config::Endpoint& endpoint) const {
    if (previous_ == nullptr) return false;
    for (const proxy::ClusterRoute& known : previous_->clusters) {
      if (known.config->name != cluster.name) continue;
      for (const auto& each : known.endpoints) {
        if (each->name() == endpoint.name && each->spec().url == endpoint.url) return each->usable();
      }
    }
    return false;
  }

  /// A CA file may hold other certificates under the same name.
  static bool SameTrust(const net::TlsClientContext* a, const net::TlsClientContext* b) {
    return a == nullptr || b == nullptr ? a == b : a->trust_digest() == b->trust_digest();
  }

  bool SamePoolRules(const config::Cluster& a, const config::Cluster& b) const {
    const bool same_windows =
        previous_->config.server.limits.stream_buffer == snapshot_->config.server.limits.stream_buffer;
    return same_windows && a.connections == b.connections && a.timeouts.connect == b.timeouts.connect;
  }

  upstream::PoolOptions PoolOptionsOf(const config::Cluster& cluster, const config::Endpoint& endpoint,
                                      const std::string& path) {
    upstream::PoolOptions options;
    options.protocol = ProtocolOf(endpoint);
    options.min = cluster.connections.min;
    options.max = cluster.connections.max;
    options.max_streams = cluster.connections.max_streams;
    // With what may lie here already this stays under the watermark (proxy/attempt.cpp).
    options.stream_window = static_cast<std::uint32_t>(snapshot_->config.server.limits.stream_buffer / 2);
    const upstream::KindQuirks& quirks = upstream::QuirksOf(endpoint.kind);
    options.idle_timeout = cluster.connections.idle_timeout.value_or(quirks.idle_timeout);
    options.idle_by_kind = !cluster.connections.idle_timeout.has_value();
    options.connect_timeout = cluster.timeouts.connect;
    options.reuse_after_chunked = quirks.reuse_after_chunked;
    if (endpoint.url.https) {
      net::TlsClientOptions tls;
      tls.ca = endpoint.tls.ca;
      tls.verify = endpoint.tls.verify;
      tls.offer_h2 = options.protocol != upstream::PoolProtocol::kHttp1;
      tls.offer_http1 = options.protocol != upstream::PoolProtocol::kHttp2;
      auto made = net::TlsClientContext::Make(tls);
      if (made.has_value()) {
        options.tls = *made;
      } else {
        errors_.push_back({path + ".tls.ca", made.error()});
      }
      options.server_name = endpoint.tls.server_name.empty() ? endpoint.url.host : endpoint.tls.server_name;
    }
    return options;
  }

  void AddModels() {
    std::string& json = snapshot_->models_json;
    json = R"({"object":"list","data":[)";
    for (const config::Model& model : snapshot_->config.models) {
      const config::Cache& cache = snapshot_->config.cache;
      snapshot_->models.push_back({
          .name = model.name,
          .upstream_name = model.upstream_name,
          .upstream_json = llm::QuoteJson(model.upstream_name),
          .metrics = std::make_unique<const telemetry::ModelMetrics>(registry_, model.name),
          .identity = {model.name, model.upstream_name, model.revision},
          .epoch = &epochs_.Of(cache::Epochs::NameOfModel(model.name)),
          .ttl = model.cache.ttl.value_or(cache.ttl),
          .store = StorePolicyOf(model.cache.store.value_or(cache.store)),
          .rescue = model.rescue,
          .hold = model.hold.value_or(0),
      });
      proxy::ModelRoute& route = snapshot_->models.back();
      const auto& clusters = snapshot_->config.clusters;
      const auto cluster =
          std::find_if(clusters.begin(), clusters.end(), [&](const auto& each) { return each.name == model.cluster; });
      route.cluster = static_cast<std::size_t>(cluster - clusters.begin());
      route.breakers = TakeBreakers(model, snapshot_->clusters[route.cluster]);
      if (model.hedge.enabled()) route.hedging = TakeHedging(model);
      const std::size_t index = snapshot_->models.size() - 1;
      snapshot_->by_name.emplace(model.name, index);
      for (const std::string& alias : model.aliases) snapshot_->by_name.emplace(alias, index);
      if (index != 0) json += ',';
      proxy::WriteModelJson(json, model.name);
    }
    json += "]}";
    for (std::size_t i = 0; i < snapshot_->models.size(); ++i) {
      const config::Model& model = snapshot_->config.models[i];
      snapshot_->models[i].fallbacks = IndicesOf(model.fallbacks);
      snapshot_->models[i].context_window_fallbacks = IndicesOf(model.context_window_fallbacks);
      AddVariants(model, snapshot_->models[i]);
    }
  }

  /// With the running switches of the same list, so that a reload moves nobody.
  void AddVariants(const config::Model& model, proxy::ModelRoute& route) {
    const proxy::ModelRoute* known = previous_ == nullptr ? nullptr : previous_->FindModel(model.name);
    if (known != nullptr) {
      const auto index = static_cast<std::size_t>(known - previous_->models.data());
      if (known->name != model.name || previous_->config.models[index].variants != model.variants) known = nullptr;
    }
    for (std::size_t i = 0; i < model.variants.size(); ++i) {
      const config::Variant& variant = model.variants[i];
      const std::size_t index = snapshot_->by_name.at(variant.model);
      route.variants.push_back({
          .model = index,
          .moved = known != nullptr ? known->variants[i].moved
                                    : std::make_shared<policy::LoadSwitch>(variant.above, variant.below),
          .metrics = telemetry::VariantMetrics(registry_, route.metrics->label.id(),
                                               snapshot_->models[index].metrics->label.id()),
      });
    }
  }

  /// Names that the configuration's check has seen.
  std::vector<std::size_t> IndicesOf(const std::vector<std::string>& names) const {
    std::vector<std::size_t> indices;
    for (const std::string& name : names) indices.push_back(snapshot_->by_name.at(name));
    return indices;
  }

  void AddTenants() {
    std::vector<std::string_view> models;
    for (const proxy::ModelRoute& model : snapshot_->models) models.push_back(model.name);
    snapshot_->tenants = std::make_unique<const proxy::Tenants>(
        snapshot_->config.auth, snapshot_->config.cache.partition, models, registry_, epochs_);
  }

  const proxy::Snapshot* previous_;
  telemetry::MetricRegistry& registry_;
  cache::Epochs& epochs_;
  std::shared_ptr<proxy::Snapshot> snapshot_;
  std::vector<BuildError> errors_;
};

}  // namespace

BuildResult BuildSnapshot(const config::Config& config, const proxy::Snapshot* previous,
                          telemetry::MetricRegistry& registry, cache::Epochs& epochs) {
  return Builder(config, previous, registry, epochs).Build();
}

}  // namespace penstock::control
