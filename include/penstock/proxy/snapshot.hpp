#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "penstock/cache/admission.hpp"
#include "penstock/cache/epochs.hpp"
#include "penstock/cache/key.hpp"
#include "penstock/config/config.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/policy/balancer.hpp"
#include "penstock/policy/load_switch.hpp"
#include "penstock/policy/retry_budget.hpp"
#include "penstock/policy/retry_rules.hpp"
#include "penstock/proxy/breakers.hpp"
#include "penstock/proxy/cluster_queue.hpp"
#include "penstock/proxy/hedging.hpp"
#include "penstock/proxy/tenants.hpp"
#include "penstock/server/options.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"
#include "penstock/upstream/connection_pool.hpp"
#include "penstock/upstream/endpoint.hpp"

namespace penstock::proxy {

/// Immutable but for its switch, which all workers throw. A cheaper model in place of another.
struct VariantRoute {
  std::size_t model = 0;  ///< index in Snapshot::models
  std::shared_ptr<policy::LoadSwitch> moved;
  telemetry::VariantMetrics metrics;
};

/// Immutable. A model as clients ask for it.
struct ModelRoute {
  std::string name;
  std::string upstream_name;
  std::string upstream_json;  ///< upstream_name as a JSON string, spliced in where the client wrote something else
  std::size_t cluster = 0;    ///< index in Snapshot::clusters
  std::vector<std::size_t> fallbacks{};                 ///< indices in Snapshot::models
  std::vector<std::size_t> context_window_fallbacks{};  ///< likewise
  std::vector<VariantRoute> variants{};                 ///< in the order in which requests move on
  std::unique_ptr<const telemetry::ModelMetrics> metrics;
  cache::ModelIdentity identity;      ///< in the keys of its answers
  const cache::Epochs::Epoch* epoch;  ///< likewise
  Duration ttl{};                     ///< how old a cached answer may be; 0: none is kept
  cache::StorePolicy store{};
  config::Rescue rescue{};
  std::uint32_t hold = 0;                ///< tokens of a stream that are held back before it is committed
  std::shared_ptr<Breakers> breakers{};  ///< of its cluster's endpoints
  std::shared_ptr<Hedging> hedging{};    ///< null: off
};

/// Immutable. A cluster's endpoints and rules.
struct ClusterRoute {
  const config::Cluster* config = nullptr;  ///< in the snapshot's config
  std::vector<std::shared_ptr<upstream::Endpoint>> endpoints;
  std::vector<upstream::PoolOptions> pools;  ///< one per endpoint
  policy::RetryRules retry;
  std::shared_ptr<policy::RetryBudget> budget;
  std::shared_ptr<ClusterQueue> queue;
  const policy::BalancerRow* balancer = nullptr;
};

/// Immutable. Everything that a reload may change, built and tested as a whole, then posted to every worker and swapped
/// between two of its turns; an exchange keeps the one that it began with.
struct Snapshot {
  config::Config config;
  std::uint64_t generation = 0;
  std::vector<ModelRoute> models;
  std::vector<ClusterRoute> clusters;
  std::unique_ptr<const Tenants> tenants;
  std::string models_json;  ///< the answer to GET /v1/models
  std::shared_ptr<const server::Options> server_options;
  std::vector<std::shared_ptr<const net::TlsServerContext>> listener_tls;  ///< one per listener, null = cleartext

  /// By name or alias; null when there is no such model.
  const ModelRoute* FindModel(std::string_view name) const noexcept;

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>>
      by_name;  ///< names and aliases -> index in models
};

/// One model as GET /v1/models lists it; appended to `out`.
void WriteModelJson(std::string& out, std::string_view name);

}  // namespace penstock::proxy
