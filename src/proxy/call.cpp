#include "proxy/call.hpp"

#include <algorithm>
#include <utility>

#include "proxy/header_rules.hpp"

namespace penstock::proxy {
namespace {

/// A lost client is noticed at once only while the answer streams (BACKENDS.md: llama-server).
bool StreamsAlways(const upstream::Endpoint& endpoint) noexcept {
  switch (endpoint.spec().stream_upstream) {
    case config::StreamUpstream::kOn: return true;
    case config::StreamUpstream::kOff: return false;
    case config::StreamUpstream::kAuto: break;
  }
  return endpoint.kind() == config::EndpointKind::kLlamacpp;
}

}  // namespace

telemetry::AttemptOutcome OutcomeOfStatus(std::uint16_t status) noexcept {
  using telemetry::AttemptOutcome;
  if (status == 429) return AttemptOutcome::kThrottled;
  return status >= 500 ? AttemptOutcome::kStatus5xx : AttemptOutcome::kStatus4xx;
}

telemetry::AttemptOutcome OutcomeOfError(const Error& error) noexcept {
  using telemetry::AttemptOutcome;
  switch (error.code) {
    case ErrorCode::kUpstreamConnect:
    case ErrorCode::kUpstreamTls:
    case ErrorCode::kUpstreamDns: return AttemptOutcome::kConnect;
    case ErrorCode::kUpstreamTimeout:
    case ErrorCode::kDeadlineExceeded: return AttemptOutcome::kTimeout;
    case ErrorCode::kUpstreamProtocol: return AttemptOutcome::kProtocol;
    default: return AttemptOutcome::kReset;
  }
}

void Call::Begin(const llm::RequestView& request, Slot slot, std::uint32_t number, TimePoint now) {
  pool_ = slot.pool;
  lease_ = std::move(slot.lease);
  permit_ = std::move(slot.permit);
  begun_ = now;
  among_ = endpoint().load.in_flight();
  sampled_ = withdrawn_ = false;
  endpoint().metrics.inflight.Add(context_.worker.metrics.slab);

  aggregate_ = !request.stream && llm::HasDone(request.family) && StreamsAlways(endpoint());
  streamed_ = aggregate_ || (request.stream && llm::CanStream(request.family));
  llm::SpliceRules rules;
  rules.force_stream = aggregate_;
  if (request.model_token && request.model() != context_.model->upstream_name)
    rules.model_json = context_.model->upstream_json;
  rules.include_usage =
      streamed_ && llm::HasDone(request.family) && !request.include_usage && pool_->quirks().takes_stream_options;
  body_.emplace(request, rules);
  head_ = context_.worker.heads.Take();
  BuildUpstreamHead(context_, endpoint(), body_->size(), number, *head_);
  pool_->Submit(stream_, {head_.get(), body_->segments(), body_->size()});
}

bool Call::MayBeSentNow() noexcept {
  withdrawn_ = !endpoint().usable() || endpoint().rest.Resting(context_.now()) || !permit_.Holds();
  return !withdrawn_;
}

void Call::End(const CallEnd& how) {
  const CallEnd end = withdrawn_ ? CallEnd{} : how;
  stream_.Cancel();
  telemetry::Slab& slab = context_.worker.metrics.slab;
  const telemetry::EndpointMetrics& metrics = endpoint().metrics;
  metrics.inflight.Sub(slab);
  metrics.attempts[static_cast<std::size_t>(end.outcome)].Add(slab);
  TellBreaker(end);
  TellLimit(end);
  lease_.Release();
}

/// What is the endpoint's fault, what is to its credit, and what says nothing about it.
void Call::TellBreaker(const CallEnd& end) {
  using telemetry::AttemptOutcome;
  const bool theirs = end.outcome != AttemptOutcome::kOk && end.outcome != AttemptOutcome::kStatus4xx &&
                      end.outcome != AttemptOutcome::kThrottled && end.outcome != AttemptOutcome::kCancelled;
  if (end.outcome == AttemptOutcome::kTimeout && !end.hurried) SampleLatency();
  if (end.outcome == AttemptOutcome::kOk) {
    permit_.Success(context_.now());
  } else if (theirs && !end.hurried && !end.resting) {
    permit_.Failure(context_.now(), context_.worker.worker.prng());
  } else {
    permit_.Ignored();
  }
}

/// For `max_concurrency: auto`: how long a whole answer took, and what speaks of too much load. A stream's first
/// content was told when it came.
void Call::TellLimit(const CallEnd& end) {
  if (!endpoint().finds_limit()) return;
  using telemetry::AttemptOutcome;
  policy::GradientLimit& limit = endpoint().found_limit;
  if (end.outcome == AttemptOutcome::kThrottled || end.outcome == AttemptOutcome::kTimeout || end.resting) {
    limit.OnOverload(context_.now());
  } else if (end.outcome == AttemptOutcome::kOk && !streamed_) {
    const Duration took = context_.now() - begun_;
    limit.OnLatency(end.tokens == 0 ? policy::LatencyKind::kWhole : policy::LatencyKind::kPerToken,
                    took / static_cast<std::int64_t>(std::max<std::uint64_t>(end.tokens, 1)), among_, context_.now());
  }
}

void Call::SampleLatency() {
  if (sampled_) return;
  sampled_ = true;
  endpoint().load.latency().Observe(context_.now(), context_.now() - begun_);
}

void Call::OnContent() {
  if (streamed_ && endpoint().finds_limit()) {
    endpoint().found_limit.OnLatency(policy::LatencyKind::kFirstToken, context_.now() - begun_, among_, context_.now());
  }
  SampleLatency();
  // A probe that has content has proved the endpoint; its stream may last for minutes, and nobody else is let in.
  if (permit_.probe()) permit_.Success(context_.now());
}

bool Call::Rest(const http::Head& refusal) {
  if (refusal.status != 429 && refusal.status != 503) return false;
  const auto wait = RetryAfterOf(refusal, context_.worker.worker.Wall());
  if (!wait.has_value() || *wait <= Duration::zero()) return false;
  endpoint().rest.RestFor(context_.now(), *wait);
  return true;
}

void Call::Reset() {
  head_.reset();
  body_.reset();
  pool_.reset();
}

}  // namespace penstock::proxy
