#include <chrono>

#include "penstock/telemetry/gateway_metrics.hpp"

namespace penstock::telemetry {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t Ns(Duration d) { return d.count(); }

// Bounds are chosen so that a limit somebody is held to is a bound, and a decade holds three to five.

/// The gateway's own share: a hit costs tens of microseconds, a retry or a large body milliseconds.
constexpr std::int64_t kOverheadBounds[] = {Ns(50us), Ns(100us), Ns(150us), Ns(200us), Ns(300us), Ns(500us), Ns(750us),
                                            Ns(1ms),  Ns(2ms),   Ns(5ms),   Ns(10ms),  Ns(50ms),  Ns(100ms), Ns(1s)};
/// From a cache hit to the default total deadline of 600 s.
constexpr std::int64_t kRequestBounds[] = {Ns(1ms),   Ns(5ms),   Ns(10ms), Ns(25ms),   Ns(50ms), Ns(100ms),
                                           Ns(250ms), Ns(500ms), Ns(1s),   Ns(2500ms), Ns(5s),   Ns(10s),
                                           Ns(20s),   Ns(30s),   Ns(60s),  Ns(120s),   Ns(300s), Ns(600s)};
/// Prefill takes 10 ms warm and minutes in a backend's queue; 60 s is the default limit. The OpenTelemetry
/// GenAI conventions end at 10 s, too early for queues.
constexpr std::int64_t kFirstTokenBounds[] = {
    Ns(1ms), Ns(5ms),    Ns(10ms), Ns(25ms), Ns(50ms), Ns(100ms), Ns(200ms), Ns(300ms), Ns(500ms), Ns(750ms),
    Ns(1s),  Ns(1500ms), Ns(2s),   Ns(3s),   Ns(5s),   Ns(10s),   Ns(20s),   Ns(30s),   Ns(60s),   Ns(120s)};
/// 1 ms is a small model on a large GPU, 100 ms reads slower than people do, 60 s is the default idle limit.
constexpr std::int64_t kInterTokenBounds[] = {
    Ns(1ms),   Ns(2500us), Ns(5ms),   Ns(10ms),  Ns(15ms),  Ns(20ms), Ns(30ms),   Ns(40ms), Ns(50ms), Ns(75ms),
    Ns(100ms), Ns(150ms),  Ns(200ms), Ns(300ms), Ns(500ms), Ns(1s),   Ns(2500ms), Ns(10s),  Ns(60s)};
/// A LAN in 100 us, a lost SYN at 1 s, the default limit at 2 s.
constexpr std::int64_t kConnectBounds[] = {Ns(100us), Ns(250us), Ns(500us), Ns(1ms),   Ns(2500us), Ns(5ms), Ns(10ms),
                                           Ns(25ms),  Ns(50ms),  Ns(100ms), Ns(250ms), Ns(500ms),  Ns(1s),  Ns(2s)};
/// From a slot that came free at once to the default timeout of 10 s, and what operators make of it.
constexpr std::int64_t kQueueBounds[] = {Ns(1ms),   Ns(5ms),    Ns(10ms),  Ns(25ms), Ns(50ms),
                                         Ns(100ms), Ns(250ms),  Ns(500ms), Ns(1s),   Ns(2s),
                                         Ns(5s),    Ns(7500ms), Ns(10s),   Ns(20s),  Ns(60s)};
/// Promised: 1 ms in the median, 10 ms for 99 %, 50 ms at most.
constexpr std::int64_t kCancelBounds[] = {Ns(50us), Ns(100us), Ns(250us), Ns(500us), Ns(1ms),   Ns(2500us), Ns(5ms),
                                          Ns(10ms), Ns(25ms),  Ns(50ms),  Ns(100ms), Ns(500ms), Ns(1s)};
/// A turn that lasts milliseconds delays every stream of the worker.
constexpr std::int64_t kLoopBounds[] = {Ns(10us),  Ns(25us), Ns(50us),   Ns(100us), Ns(250us),
                                        Ns(500us), Ns(1ms),  Ns(2500us), Ns(5ms),   Ns(10ms),
                                        Ns(25ms),  Ns(50ms), Ns(100ms),  Ns(1s),    Ns(10s)};

constexpr MetricKind kCounter = MetricKind::kCounter;
constexpr MetricKind kGauge = MetricKind::kGauge;
constexpr MetricKind kHistogram = MetricKind::kHistogram;

struct Row {
  Metric metric;
  MetricFamily family;
};

// clang-format off
constexpr Row kRows[] = {
    {Metric::kRequests, {"penstock_requests_total", "Requests answered, by final status; 499 = the client left.", kCounter, {"route", "model", "key", "status"}}},
    {Metric::kRequestDuration, {"penstock_request_duration_seconds", "From the first byte of a request to the last of its answer.", kHistogram, {"route", "model"}, kRequestBounds}},
    {Metric::kOverhead, {"penstock_overhead_seconds", "The gateway's own share of a request's duration.", kHistogram, {}, kOverheadBounds}},
    {Metric::kInflight, {"penstock_inflight_requests", "Requests being served.", kGauge}},
    {Metric::kTimeToFirstToken, {"penstock_time_to_first_token_seconds", "From the request to the first content event, streamed answers.", kHistogram, {"model"}, kFirstTokenBounds}},
    {Metric::kInterTokenLatency, {"penstock_inter_token_latency_seconds", "Between two content events of a stream.", kHistogram, {"model"}, kInterTokenBounds}},
    {Metric::kTokens, {"penstock_tokens_total", "Tokens as the backends counted them.", kCounter, {"model", "key", "direction"}}},
    {Metric::kCacheLookups, {"penstock_cache_lookups_total", "Looks into a tier of the cache, by what came of them.", kCounter, {"tier", "result"}}},
    {Metric::kCacheBytes, {"penstock_cache_bytes", "Bytes that a tier of this instance holds.", kGauge, {"tier"}}},
    {Metric::kCacheEntries, {"penstock_cache_entries", "Entries that a tier of this instance holds.", kGauge, {"tier"}}},
    {Metric::kCacheEvictions, {"penstock_cache_evictions_total", "Entries given up for room.", kCounter, {"tier"}}},
    {Metric::kCacheCorrupt, {"penstock_cache_corrupt_total", "Entries that were not what was stored; none was served.", kCounter, {"tier"}}},
    {Metric::kCoalesced, {"penstock_coalesced_requests_total", "Requests that waited for an equal one's upstream call, by how that ended.", kCounter, {"outcome"}}},
    {Metric::kUpstreamAttempts, {"penstock_upstream_attempts_total", "Attempts at endpoints, by how they ended.", kCounter, {"cluster", "endpoint", "outcome"}}},
    {Metric::kUpstreamInflight, {"penstock_upstream_inflight", "Attempts under way at an endpoint.", kGauge, {"endpoint"}}},
    {Metric::kUpstreamConnections, {"penstock_upstream_connections", "Connections to an endpoint.", kGauge, {"endpoint", "state"}}},
    {Metric::kUpstreamConnect, {"penstock_upstream_connect_seconds", "Time to connect to an endpoint, TLS included.", kHistogram, {"endpoint"}, kConnectBounds}},
    {Metric::kEndpointHealthy, {"penstock_endpoint_healthy", "1 while active checks let an endpoint be used.", kGauge, {"endpoint"}}},
    {Metric::kEndpointWarming, {"penstock_endpoint_warming", "1 while an endpoint that is well owes the answer of its warm-up.", kGauge, {"endpoint"}}},
    {Metric::kBreakerState, {"penstock_breaker_state", "An endpoint's circuit breaker, of the model for which it is worst: 0 closed, 1 half-open, 2 open.", kGauge, {"endpoint"}}},
    {Metric::kEndpointLimit, {"penstock_endpoint_limit", "Requests at a time that an endpoint gets: max_concurrency, or what auto has found.", kGauge, {"endpoint"}}},
    {Metric::kRetries, {"penstock_retries_total", "Attempts beyond a request's first, by what the one before died of.", kCounter, {"reason"}}},
    {Metric::kQueueDepth, {"penstock_queue_depth", "Requests that wait for an endpoint.", kGauge, {"cluster"}}},
    {Metric::kQueueWait, {"penstock_queue_wait_seconds", "How long requests waited for an endpoint, those that had to.", kHistogram, {"cluster"}, kQueueBounds}},
    {Metric::kCancelLatency, {"penstock_cancel_latency_seconds", "From a client's departure to the cancellation of its upstream work.", kHistogram, {}, kCancelBounds}},
    {Metric::kStreamInterruptions, {"penstock_stream_interruptions_total", "Answers broken after their first content was sent.", kCounter, {"cause"}}},
    {Metric::kRescues, {"penstock_rescues_total", "Streams that broke after their first content, of models with rescue: completed by another endpoint, or failed.", kCounter, {"result"}}},
    {Metric::kHedges, {"penstock_hedges_total", "Second requests for streams whose first token was late, of models with hedge: won = it gave the answer, lost = it was cancelled or failed.", kCounter, {"result"}}},
    {Metric::kSseMalformed, {"penstock_sse_malformed_total", "Malformed events relayed from upstream.", kCounter}},
    {Metric::kProtocolRejects, {"penstock_protocol_rejects_total", "Messages of clients refused as malformed or excessive.", kCounter, {"protocol", "reason"}}},
    {Metric::kConnectionsKilled, {"penstock_connections_killed_total", "Client connections ended for abuse or slowness.", kCounter, {"reason"}}},
    {Metric::kConfigReloads, {"penstock_config_reloads_total", "Reloads of the configuration.", kCounter, {"result"}}},
    {Metric::kConfigLastReloadOk, {"penstock_config_last_reload_ok", "1 if the last reload, or the start, succeeded.", kGauge}},
    {Metric::kLogDropped, {"penstock_log_dropped_total", "Log lines dropped: the ring was full or the write failed.", kCounter}},
    {Metric::kMetricsDropped, {"penstock_metrics_dropped_total", "Series refused at the cap on series.", kCounter}},
    {Metric::kBufferedBytes, {"penstock_buffered_bytes", "Bytes held between clients and backends.", kGauge}},
    {Metric::kLoop, {"penstock_loop_seconds", "Work of one turn of an event loop.", kHistogram, {}, kLoopBounds}},
    {Metric::kOverloadPressure, {"penstock_overload_pressure_ratio", "How much of a resource's limit is used.", kGauge, {"resource"}, {}, OverloadMetrics::kRatioParts}},
    {Metric::kLoopLag, {"penstock_loop_lag_seconds", "The least that anything waited for its turn in an event loop within a second, of the worker where it was most.", kGauge, {}, {}, OverloadMetrics::kSecondParts}},
    {Metric::kOverloadLevel, {"penstock_overload_level", "A resource's level: 0 calm, 1 warning, 2 critical, 3 beyond (memory).", kGauge, {"resource"}}},
    {Metric::kOverloadActive, {"penstock_overload_action_active", "1 while the gateway protects itself in this way.", kGauge, {"action"}}},
    {Metric::kOverloadActions, {"penstock_overload_actions_total", "How often it began to.", kCounter, {"action"}}},
    {Metric::kOverloadShed, {"penstock_overload_shed_total", "Requests refused because of overload.", kCounter, {"priority"}}},
    {Metric::kOverloadReset, {"penstock_overload_reset_total", "Requests under way that were ended for the memory they held.", kCounter}},
    {Metric::kWorkerStalls, {"penstock_worker_stalls_total", "Times a worker stood still for longer than overload.watchdog.stall.", kCounter}},
    {Metric::kVariantRequests, {"penstock_variant_requests_total", "Requests that went to a cheaper variant of their model.", kCounter, {"model", "variant"}}},
    {Metric::kBuild, {"penstock_build_info", "1, with the version and revision of the program.", kGauge, {"version", "revision"}}},
    // Names and meaning by the Prometheus client library guidelines.
    {Metric::kProcessCpu, {"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", kCounter}},
    {Metric::kProcessOpenFds, {"process_open_fds", "Number of open file descriptors.", kGauge}},
    {Metric::kProcessMaxFds, {"process_max_fds", "Maximum number of open file descriptors.", kGauge}},
    {Metric::kProcessResidentMemory, {"process_resident_memory_bytes", "Resident memory size in bytes.", kGauge}},
    {Metric::kProcessVirtualMemory, {"process_virtual_memory_bytes", "Virtual memory size in bytes.", kGauge}},
    {Metric::kProcessStartTime, {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.", kGauge}},
};
// clang-format on

constexpr auto kFamilies = [] {
  std::array<MetricFamily, kMetrics> families;
  for (std::size_t i = 0; i < kMetrics; ++i) families[i] = kRows[i].family;
  return families;
}();

constexpr bool InOrder() {
  for (std::size_t i = 0; i < kMetrics; ++i) {
    if (static_cast<std::size_t>(kRows[i].metric) != i) return false;
  }
  return true;
}
static_assert(std::size(kRows) == kMetrics && InOrder(), "one row per Metric, in its order");

}  // namespace

std::span<const MetricFamily> GatewayFamilies() noexcept { return kFamilies; }

}  // namespace penstock::telemetry
