#include "penstock/telemetry/gateway_metrics.hpp"

#include "penstock/telemetry/log_sink.hpp"
#include "penstock/telemetry/status_label.hpp"
#include "telemetry/process_stats.hpp"

namespace penstock::telemetry {

namespace {

constexpr FamilyId Id(Metric metric) { return static_cast<FamilyId>(metric); }

std::string_view OutcomeName(AttemptOutcome outcome) noexcept {
  switch (outcome) {
    case AttemptOutcome::kOk: return "ok";
    case AttemptOutcome::kConnect: return "connect";
    case AttemptOutcome::kReset: return "reset";
    case AttemptOutcome::kTimeout: return "timeout";
    case AttemptOutcome::kProtocol: return "protocol";
    case AttemptOutcome::kStatus4xx: return "4xx";
    case AttemptOutcome::kThrottled: return "throttled";
    case AttemptOutcome::kStatus5xx: return "5xx";
    case AttemptOutcome::kTruncated: return "truncated";
    case AttemptOutcome::kCancelled: return "cancelled";
  }
  return "other";
}

std::string_view StateName(ConnectionState state) noexcept {
  switch (state) {
    case ConnectionState::kConnecting: return "connecting";
    case ConnectionState::kActive: return "active";
    case ConnectionState::kIdle: return "idle";
  }
  return "other";
}

void PullProcess(const MetricRegistry::PullSink& sink) {
  const ProcessStats stats = ReadProcessStats();
  sink(Id(Metric::kProcessCpu), stats.cpu_seconds);
  sink(Id(Metric::kProcessStartTime), stats.start_time_seconds);
  sink(Id(Metric::kProcessResidentMemory), static_cast<double>(stats.resident_bytes));
  sink(Id(Metric::kProcessVirtualMemory), static_cast<double>(stats.virtual_bytes));
  sink(Id(Metric::kProcessOpenFds), static_cast<double>(stats.open_fds));
  sink(Id(Metric::kProcessMaxFds), static_cast<double>(stats.max_fds));
}

}  // namespace

std::string_view ProtocolName(Protocol protocol) noexcept {
  switch (protocol) {
    case Protocol::kHttp1: return "http1";
    case Protocol::kHttp2: return "http2";
    case Protocol::kGrpc: return "grpc";
  }
  return "other";
}

GatewayMetrics::GatewayMetrics(MetricRegistry& registry, std::span<const std::string_view> routes,
                               const BuildLabels& build, Slab& slab)
    : cache(registry),
      overload(registry),
      registry_(registry),
      other_(registry.Pin("other")),
      anonymous_(registry.Pin("anonymous")) {
  overhead = registry.HistogramOf({Id(Metric::kOverhead)});
  inflight = registry.GaugeOf({Id(Metric::kInflight)});
  for (std::size_t i = 0; i < kRetryReasons; ++i) {
    const LabelId reason = registry.Pin(RetryReasonName(static_cast<RetryReason>(i)));
    retries[i] = registry.CounterOf({Id(Metric::kRetries), {reason}});
  }
  cancel_latency = registry.HistogramOf({Id(Metric::kCancelLatency)});
  rescues = {registry.CounterOf({Id(Metric::kRescues), {registry.Pin("failed")}}),
             registry.CounterOf({Id(Metric::kRescues), {registry.Pin("completed")}})};
  hedges = {registry.CounterOf({Id(Metric::kHedges), {registry.Pin("lost")}}),
            registry.CounterOf({Id(Metric::kHedges), {registry.Pin("won")}})};
  sse_malformed = registry.CounterOf({Id(Metric::kSseMalformed)});
  config_reloads = {registry.CounterOf({Id(Metric::kConfigReloads), {registry.Pin("ok")}}),
                    registry.CounterOf({Id(Metric::kConfigReloads), {registry.Pin("rejected")}})};
  config_last_reload_ok = registry.GaugeOf({Id(Metric::kConfigLastReloadOk)});
  buffered_bytes = registry.GaugeOf({Id(Metric::kBufferedBytes)});
  loop = registry.HistogramOf({Id(Metric::kLoop)});

  for (const std::string_view route : routes) routes_.push_back(registry.Pin(route));
  for (std::size_t i = 0; i < kStatusLabels; ++i) statuses_.push_back(registry.Pin(StatusLabelText(i)));
  directions_ = {registry.Pin("input"), registry.Pin("output")};
  for (std::size_t i = 0; i < kProtocols; ++i) protocols_[i] = registry.Pin(ProtocolName(static_cast<Protocol>(i)));

  registry.GaugeOf({Id(Metric::kBuild), {registry.Pin(build.version), registry.Pin(build.revision)}}).Set(slab, 1);
  registry.AddSource([&registry](const MetricRegistry::PullSink& sink) {
    sink(Id(Metric::kMetricsDropped), static_cast<double>(registry.dropped()));
  });
  registry.AddSource(PullProcess);
}

void AddLogSource(MetricRegistry& registry, const LogSink& log) {
  registry.AddSource([&log](const MetricRegistry::PullSink& sink) {
    sink(Id(Metric::kLogDropped), static_cast<double>(log.dropped()));
  });
}

ModelMetrics::ModelMetrics(MetricRegistry& registry, std::string_view model)
    : label(registry.Hold(model)),
      time_to_first_token(registry.HistogramOf({Id(Metric::kTimeToFirstToken), {label.id()}})),
      inter_token_latency(registry.HistogramOf({Id(Metric::kInterTokenLatency), {label.id()}})) {}

OverloadMetrics::OverloadMetrics(MetricRegistry& registry)
    : loop_lag(registry.GaugeOf({Id(Metric::kLoopLag)})),
      reset(registry.CounterOf({Id(Metric::kOverloadReset)})),
      stalls(registry.CounterOf({Id(Metric::kWorkerStalls)})) {
  for (std::size_t i = 0; i < kOverloadResources.size(); ++i) {
    const LabelId label = registry.Pin(kOverloadResources[i]);
    pressure[i] = registry.GaugeOf({Id(Metric::kOverloadPressure), {label}});
    level[i] = registry.GaugeOf({Id(Metric::kOverloadLevel), {label}});
  }
  for (std::size_t i = 0; i < kOverloadActionLabels.size(); ++i) {
    const LabelId label = registry.Pin(kOverloadActionLabels[i]);
    active[i] = registry.GaugeOf({Id(Metric::kOverloadActive), {label}});
    taken[i] = registry.CounterOf({Id(Metric::kOverloadActions), {label}});
  }
  for (std::size_t i = 0; i < kPriorityLabels.size(); ++i)
    shed[i] = registry.CounterOf({Id(Metric::kOverloadShed), {registry.Pin(kPriorityLabels[i])}});
}

VariantMetrics::VariantMetrics(MetricRegistry& registry, LabelId model, LabelId variant)
    : requests(registry.CounterOf({Id(Metric::kVariantRequests), {model, variant}})) {}

QueueMetrics::QueueMetrics(MetricRegistry& registry, std::string_view cluster)
    : label(registry.Hold(cluster)),
      depth(registry.GaugeOf({Id(Metric::kQueueDepth), {label.id()}})),
      wait(registry.HistogramOf({Id(Metric::kQueueWait), {label.id()}})) {}

EndpointMetrics::EndpointMetrics(MetricRegistry& registry, std::string_view cluster, std::string_view endpoint)
    : cluster_label(registry.Hold(cluster)), endpoint_label(registry.Hold(endpoint)) {
  const LabelId name = endpoint_label.id();
  for (std::size_t i = 0; i < kAttemptOutcomes; ++i) {
    const LabelId outcome = registry.Pin(OutcomeName(static_cast<AttemptOutcome>(i)));
    attempts[i] = registry.CounterOf({Id(Metric::kUpstreamAttempts), {cluster_label.id(), name, outcome}});
  }
  for (std::size_t i = 0; i < kConnectionStates; ++i) {
    const LabelId state = registry.Pin(StateName(static_cast<ConnectionState>(i)));
    connections[i] = registry.GaugeOf({Id(Metric::kUpstreamConnections), {name, state}});
  }
  inflight = registry.GaugeOf({Id(Metric::kUpstreamInflight), {name}});
  connect = registry.HistogramOf({Id(Metric::kUpstreamConnect), {name}});
  healthy = registry.GaugeOf({Id(Metric::kEndpointHealthy), {name}});
  warming = registry.GaugeOf({Id(Metric::kEndpointWarming), {name}});
  breaker = registry.GaugeOf({Id(Metric::kBreakerState), {name}});
  limit = registry.GaugeOf({Id(Metric::kEndpointLimit), {name}});
}

}  // namespace penstock::telemetry
