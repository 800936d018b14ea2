#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "penstock/base/retry_reason.hpp"
#include "penstock/telemetry/cache_metrics.hpp"
#include "penstock/telemetry/metric_registry.hpp"
#include "penstock/telemetry/overload_metrics.hpp"

namespace penstock::telemetry {

/// Every metric, in the order of the table in src/telemetry/gateway_families.cpp. Names and labels are API
/// (tests/golden/metrics.txt).
// clang-format off
enum class Metric : FamilyId {
  kRequests, kRequestDuration, kOverhead, kInflight, kTimeToFirstToken, kInterTokenLatency, kTokens,
  kCacheLookups, kCacheBytes, kCacheEntries, kCacheEvictions, kCacheCorrupt, kCoalesced,
  kUpstreamAttempts, kUpstreamInflight, kUpstreamConnections, kUpstreamConnect, kEndpointHealthy, kEndpointWarming,
  kBreakerState, kEndpointLimit, kRetries, kQueueDepth, kQueueWait,
  kCancelLatency, kStreamInterruptions, kRescues, kHedges, kSseMalformed, kProtocolRejects, kConnectionsKilled,
  kConfigReloads, kConfigLastReloadOk, kLogDropped, kMetricsDropped, kBufferedBytes, kLoop,
  kOverloadPressure, kLoopLag, kOverloadLevel, kOverloadActive, kOverloadActions, kOverloadShed, kOverloadReset, kWorkerStalls,
  kVariantRequests, kBuild,
  kProcessCpu, kProcessOpenFds, kProcessMaxFds, kProcessResidentMemory, kProcessVirtualMemory, kProcessStartTime,
};
// clang-format on
inline constexpr std::size_t kMetrics = static_cast<std::size_t>(Metric::kProcessStartTime) + 1;

/// The table, indexed by Metric.
std::span<const MetricFamily> GatewayFamilies() noexcept;

/// How an attempt at an endpoint ended: label `outcome`.
enum class AttemptOutcome : std::uint8_t {
  kOk,
  kConnect,  ///< TCP, TLS or DNS failed
  kReset,
  kTimeout,    ///< headers, first token or idle
  kProtocol,   ///< a malformed answer
  kStatus4xx,  ///< but 429
  kThrottled,  ///< 429
  kStatus5xx,
  kTruncated,  ///< broken after commit
  kCancelled,  ///< the client left, or the answer was no longer wanted
};
inline constexpr std::size_t kAttemptOutcomes = 10;

/// Label `state` of upstream_connections.
enum class ConnectionState : std::uint8_t { kConnecting, kActive, kIdle };
inline constexpr std::size_t kConnectionStates = 3;

/// What a client speaks: label `protocol`, and the access log's field.
enum class Protocol : std::uint8_t { kHttp1, kHttp2, kGrpc };
inline constexpr std::size_t kProtocols = 3;
std::string_view ProtocolName(Protocol protocol) noexcept;

enum class ReloadResult : std::uint8_t { kOk, kRejected };

/// Values of build_info.
struct BuildLabels {
  std::string_view version;
  std::string_view revision;
};

/// Immutable. One per process: the handles of everything whose labels are known at the
/// start.
class GatewayMetrics {
 public:
  /// `routes`: names of the route table, indexed as CountRequest() will. Sets build_info in `slab`, the
  /// caller's own.
  GatewayMetrics(MetricRegistry& registry, std::span<const std::string_view> routes, const BuildLabels& build,
                 Slab& slab);

  Histogram overhead;
  Gauge inflight;
  CacheMetrics cache;
  OverloadMetrics overload;
  std::array<Counter, kRetryReasons> retries;  ///< by RetryReason
  Histogram cancel_latency;                    ///< client gone to upstream cancelled
  std::array<Counter, 2> rescues;              ///< broken streams that were not, that were completed
  std::array<Counter, 2> hedges;               ///< second requests that did not answer, that did
  Counter sse_malformed;
  std::array<Counter, 2> config_reloads;  ///< by ReloadResult; the control thread's
  Gauge config_last_reload_ok;            ///< Set() by the control thread
  Gauge buffered_bytes;
  Histogram loop;  ///< a loop turn's work, waiting excluded

  MetricRegistry& registry() const noexcept { return registry_; }
  LabelId other() const noexcept { return other_; }          ///< a model that is not configured
  LabelId anonymous() const noexcept { return anonymous_; }  ///< no key

 private:
  friend class WorkerMetrics;
  MetricRegistry& registry_;
  LabelId other_;
  LabelId anonymous_;
  std::vector<LabelId> routes_;
  std::vector<LabelId> statuses_;  // by StatusLabelIndex
  std::array<LabelId, 2> directions_;
  std::array<LabelId, kProtocols> protocols_;
};

class LogSink;
/// Lets a scrape ask for log_dropped_total. Before the first scrape; the sink outlives the last.
void AddLogSource(MetricRegistry& registry, const LogSink& sink);

/// Immutable. Belongs to a model of a snapshot. Also the label under which requests of the model are counted.
struct ModelMetrics {
  ModelMetrics(MetricRegistry& registry, std::string_view model);
  LabelLease label;
  Histogram time_to_first_token;
  Histogram inter_token_latency;
};

/// Immutable. Belongs to a model's variant in a snapshot, which holds both labels.
struct VariantMetrics {
  VariantMetrics(MetricRegistry& registry, LabelId model, LabelId variant);
  Counter requests;
};

/// Immutable. Belongs to a cluster's queue, shared by snapshots that have the cluster.
struct QueueMetrics {
  QueueMetrics(MetricRegistry& registry, std::string_view cluster);
  LabelLease label;
  Gauge depth;
  Histogram wait;  ///< of those who had to, however it ended
};

/// Immutable. Belongs to an endpoint, shared by snapshots that keep it.
struct EndpointMetrics {
  EndpointMetrics(MetricRegistry& registry, std::string_view cluster, std::string_view endpoint);
  LabelLease cluster_label;
  LabelLease endpoint_label;
  std::array<Counter, kAttemptOutcomes> attempts;  ///< by AttemptOutcome
  Gauge inflight;
  std::array<Gauge, kConnectionStates> connections;  ///< by ConnectionState
  Histogram connect;
  Gauge breaker;  ///< Set() by the control thread; of the model for which it is worst: 0 closed, 1 half-open, 2 open
  Gauge limit;    ///< Set() by the control thread
  Gauge healthy;  ///< Set() by the thread that probes
  Gauge warming;  ///< likewise
};

}  // namespace penstock::telemetry
