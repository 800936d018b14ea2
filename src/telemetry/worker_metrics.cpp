#include "penstock/telemetry/worker_metrics.hpp"

#include "penstock/base/assert.hpp"
#include "penstock/telemetry/status_label.hpp"

namespace penstock::telemetry {

namespace {

constexpr FamilyId Id(Metric metric) { return static_cast<FamilyId>(metric); }

}  // namespace

void WorkerMetrics::CountRequest(std::size_t route, LabelId model, LabelId key, std::uint16_t status,
                                 Duration duration) {
  PENSTOCK_ASSERT(route < gateway.routes_.size());
  const LabelId route_label = gateway.routes_[route];
  const LabelId status_label = gateway.statuses_[StatusLabelIndex(status)];
  const Slot count = series_.Find({Id(Metric::kRequests), {route_label, model, key, status_label}});
  Counter{count}.Add(slab);
  const Slot time = series_.Find({Id(Metric::kRequestDuration), {route_label, model}});
  gateway.registry().HistogramAt(Id(Metric::kRequestDuration), time).Observe(slab, duration);
}

void WorkerMetrics::CountTokens(LabelId model, LabelId key, std::uint64_t input, std::uint64_t output) {
  const std::uint64_t tokens[] = {input, output};
  for (std::size_t i = 0; i < 2; ++i) {
    if (tokens[i] == 0) continue;
    Counter{series_.Find({Id(Metric::kTokens), {model, key, gateway.directions_[i]}})}.Add(slab, tokens[i]);
  }
}

void WorkerMetrics::CountProtocolReject(Protocol protocol, const char* reason) {
  const LabelId protocol_label = gateway.protocols_[static_cast<std::size_t>(protocol)];
  Counter{series_.Find({Id(Metric::kProtocolRejects), {protocol_label, LabelOf(reason)}})}.Add(slab);
}

void WorkerMetrics::CountConnectionKilled(const char* reason) {
  Counter{series_.Find({Id(Metric::kConnectionsKilled), {LabelOf(reason)}})}.Add(slab);
}

void WorkerMetrics::CountStreamInterruption(const char* cause) {
  Counter{series_.Find({Id(Metric::kStreamInterruptions), {LabelOf(cause)}})}.Add(slab);
}

LabelId WorkerMetrics::LabelOf(const char* literal) {
  constexpr std::size_t kMask = 2 * kReasonsMax - 1;
  static_assert((kMask & (kMask + 1)) == 0);
  std::size_t i = (reinterpret_cast<std::uintptr_t>(literal) * 0x9e3779b97f4a7c15 >> 40) & kMask;
  for (; reasons_[i].literal != nullptr; i = (i + 1) & kMask) {
    if (reasons_[i].literal == literal) return reasons_[i].label;
  }
  if (reasons_used_ == kReasonsMax) return gateway.other();
  ++reasons_used_;
  reasons_[i] = {literal, gateway.registry().Pin(literal)};
  return reasons_[i].label;
}

}  // namespace penstock::telemetry
