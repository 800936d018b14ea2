#include "proxy/attempt.hpp"

#include "penstock/base/assert.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "proxy/header_rules.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kWatermarkMax = 64 * 1024;            // a reader that keeps up may have this much under way
constexpr std::size_t kSeamTextMax = std::size_t{1} << 20;  // of an answer, to be rescued; longer ones are not
constexpr std::size_t kWatermarkCrowded = 4 * 1024;  // while all together hold more than buffered_bytes; HTTP/1.1

/// Media types are compared without case (RFC 9110 8.3.1).
bool HasMediaType(const http::Head& head, std::string_view lower) noexcept {
  const std::string_view value = head.Find(http::HeaderId::kContentType);
  if (value.size() < lower.size()) return false;
  return std::equal(lower.begin(), lower.end(), value.begin(),
                    [](char want, char c) { return want == (c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c); });
}

/// A lost client is noticed at once only while the answer streams (BACKENDS.md: llama-server).
bool StreamsAlways(const upstream::Endpoint& endpoint) noexcept {
  switch (endpoint.spec().stream_upstream) {
    case config::StreamUpstream::kOn: return true;
    case config::StreamUpstream::kOff: return false;
    case config::StreamUpstream::kAuto: break;
  }
  return endpoint.kind() == config::EndpointKind::kLlamacpp;
}

telemetry::AttemptOutcome OutcomeOf(const AttemptResult& result) noexcept {
  using telemetry::AttemptOutcome;
  if (result.kind == AttemptResult::Kind::kDelivered) return AttemptOutcome::kOk;
  if (result.kind == AttemptResult::Kind::kRefused) {
    if (result.status == 429) return AttemptOutcome::kThrottled;
    // A 5xx that is the request's fault is none of the endpoint's.
    return result.status >= 500 && result.error.retry != Retry::kNever ? AttemptOutcome::kStatus5xx
                                                                       : AttemptOutcome::kStatus4xx;
  }
  if (result.kind == AttemptResult::Kind::kInterrupted || result.kind == AttemptResult::Kind::kBroken)
    return AttemptOutcome::kTruncated;
  switch (result.error.code) {
    case ErrorCode::kUpstreamConnect:
    case ErrorCode::kUpstreamTls:
    case ErrorCode::kUpstreamDns: return AttemptOutcome::kConnect;
    case ErrorCode::kUpstreamTimeout:
    case ErrorCode::kDeadlineExceeded: return AttemptOutcome::kTimeout;
    case ErrorCode::kUpstreamProtocol: return AttemptOutcome::kProtocol;
    default: return AttemptOutcome::kReset;
  }
}

}  // namespace

Attempt::Attempt(RequestContext& context, Answer& answer)
    : context_(context),
      answer_(answer),
      stream_(*this),
      timer_(this, [](void* self) { static_cast<Attempt*>(self)->OnTimer(); }) {}

const std::string& Attempt::refusal_as_sent() const noexcept {
  if (const auto* refusal = std::get_if<RefusalRelay>(&relay_)) return refusal->body();
  if (const auto* aggregate = std::get_if<AggregateRelay>(&relay_)) return aggregate->refusal();
  return std::get<StreamRelay>(relay_).refusal();
}

void Attempt::Begin(EndpointPool& pool, policy::LoadLease lease, policy::BreakerPermit permit, std::uint32_t number,
                    const Takeover* takeover) {
  pool_ = &pool;
  lease_ = std::move(lease);
  permit_ = std::move(permit);
  result_ = {};
  done_.Reset();
  cancelled_ = false;
  resting_ = false;
  paused_ = false;
  due_ = keepalive_due_ = TimePoint::Max();
  relay_.emplace<std::monostate>();
  begun_ = context_.worker.worker.ReadClock();
  among_ = pool.endpoint().load.in_flight();
  received_ = 0;
  if (context_.cache.lead.has_value()) context_.cache.lead->OnAttempt();
  watermark_ = context_.snapshot().config.server.limits.stream_buffer;

  upstream::Endpoint& endpoint = pool.endpoint();
  RequestRecord& record = context_.record;
  record.endpoint = &endpoint;
  record.attempts = number;
  record.usage = {};
  record.forwarded = begun_;
  endpoint.metrics.inflight.Add(context_.worker.metrics.slab);

  const llm::RequestView& request = takeover != nullptr ? *takeover->request : *context_.request;
  takes_over_ = takeover != nullptr;
  PrepareSeam(takeover);
  aggregate_ = !request.stream && llm::HasDone(request.family) && StreamsAlways(endpoint);
  streamed_ = aggregate_ || (request.stream && llm::CanStream(request.family));
  content_seen_ = false;
  sampled_ = false;
  llm::SpliceRules rules;
  rules.force_stream = aggregate_;
  if (request.model_token && request.model() != context_.model->upstream_name)
    rules.model_json = context_.model->upstream_json;
  rules.include_usage =
      streamed_ && llm::HasDone(request.family) && !request.include_usage && pool.quirks().takes_stream_options;
  body_.emplace(request, rules);
  request_head_ = context_.worker.heads.Take();
  BuildUpstreamHead(context_, endpoint, body_->size(), number, *request_head_);
  if (takes_over_) AwaitSilence();
  pool.Submit(stream_, {request_head_.get(), body_->segments(), body_->size()});
}

/// What goes to the client is noted where the model is to be rescued, and an answer can be joined to it.
void Attempt::PrepareSeam(const Takeover* takeover) {
  if (takeover != nullptr) {
    seam_->Join(takeover->from);
    return;
  }
  seam_.reset();
  const llm::RequestView& request = *context_.request;
  if (context_.asked->rescue == config::Rescue::kOff || !request.stream || request.choices() != 1) return;
  if (llm::HasDone(request.family)) seam_.emplace(request.family, kSeamTextMax);
}

void Attempt::OnRequestSent() {
  if (streamed_) Await(context_.cluster->route->config->timeouts.headers, "no response head in time");
}

void Attempt::OnHead(http::HeadPtr head) {
  pool_->endpoint().load.NoteProgress(context_.now());
  if (head->status >= 400) {
    refusal_head_ = std::move(head);
    relay_.emplace<RefusalRelay>();
    return;
  }
  if (head->status != 200 || HasMediaType(*head, "text/html")) {
    Fail(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "the upstream's answer is none of this API's"));
    return;
  }
  const bool events = HasMediaType(*head, "text/event-stream");
  if (takes_over_) {
    if (!events) return Fail(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "no stream to go on with"));
    relay_.emplace<StreamRelay>(context_, answer_, StreamJoin{&*seam_, true});
    Await(context_.cluster->route->config->timeouts.first_token, "no first token in time");
    return;
  }
  if (context_.cache.lead.has_value()) {
    const bool wanted_events = context_.request->stream && llm::CanStream(context_.request->family);
    const bool gives_events = events && !aggregate_;
    cache::CacheControl control = CacheControlOf(*head);
    // In another form than was asked for it is relayed, and no more than that (FAULTS U-16).
    if (gives_events != wanted_events) control.no_store = true;
    context_.cache.lead->OnHead(gives_events ? cache::Form::kEvents : cache::Form::kWhole, control);
  }
  answer_.Hold(std::move(head));
  if (events && aggregate_) {
    relay_.emplace<AggregateRelay>(context_, answer_);
  } else if (events) {
    relay_.emplace<StreamRelay>(context_, answer_, StreamJoin{seam_.has_value() ? &*seam_ : nullptr, false});
  } else {
    relay_.emplace<PlainRelay>(context_, answer_);
    SampleLatency();
  }
  if (!streamed_) return;
  const config::Timeouts& timeouts = context_.cluster->route->config->timeouts;
  if (events) {
    Await(timeouts.first_token, "no first token in time");
  } else {
    Await(timeouts.idle, "the answer stood still");  // it was asked to stream and answers in one piece (FAULTS U-16)
  }
}

void Attempt::OnBody(std::string_view bytes) {
  received_ += bytes.size();
  pool_->endpoint().load.NoteProgress(context_.now());
  if (auto* stream = std::get_if<StreamRelay>(&relay_)) {
    Handle(stream->OnBytes(bytes));
  } else if (auto* plain = std::get_if<PlainRelay>(&relay_)) {
    Handle(plain->OnBytes(bytes));
  } else if (auto* aggregate = std::get_if<AggregateRelay>(&relay_)) {
    Handle(aggregate->OnBytes(bytes));
  } else if (auto* refusal = std::get_if<RefusalRelay>(&relay_)) {
    refusal->OnBytes(bytes);
  }
}

void Attempt::OnEnd() {
  if (auto* stream = std::get_if<StreamRelay>(&relay_)) {
    Handle(stream->OnEnd());
  } else if (auto* plain = std::get_if<PlainRelay>(&relay_)) {
    Handle(plain->OnEnd());
  } else if (auto* aggregate = std::get_if<AggregateRelay>(&relay_)) {
    Handle(aggregate->OnEnd());
  } else if (std::holds_alternative<RefusalRelay>(relay_)) {
    Refuse(refusal_head_->status);
  }
}

void Attempt::OnFailed(const Error& error) { Fail(error); }

void Attempt::Handle(const RelayStep& step) {
  switch (step.kind) {
    case RelayStep::Kind::kGoOn:
      if (step.progress) Progress(step);
      Backpressure();
      return;
    case RelayStep::Kind::kComplete:
      SampleLatency();
      Finish(AttemptResult::Kind::kDelivered, {});
      return;
    case RelayStep::Kind::kFailed: Fail(step.error); return;
    case RelayStep::Kind::kRefused:
      refusal_head_ = context_.worker.heads.Take();
      refusal_head_->status = step.status;
      refusal_head_->Add("content-type", "application/json", http::HeaderId::kContentType);
      Refuse(step.status);
      return;
  }
}

/// The upstream said no; its words tell whether anybody else would say yes.
void Attempt::Refuse(std::uint16_t status) {
  refusal_ = ReadRefusal(context_, status, refusal_as_sent());
  result_.status = status;
  resting_ = RestEndpoint();
  context_.record.hopeless = refusal_.hopeless();
  Finish(AttemptResult::Kind::kRefused,
         UpstreamError(ErrorCode::kUpstreamStatus, context_.record.hopeless ? Retry::kNever : Retry::kSafe,
                       "the upstream refused the request"));
}

void Attempt::Fail(const Error& error) {
  if (!answer_.committed()) {
    answer_.Discard();
    Finish(AttemptResult::Kind::kFailed, error);
    return;
  }
  if (auto* stream = std::get_if<StreamRelay>(&relay_); stream != nullptr && stream->whole()) {
    Handle(stream->OnEnd());  // the client has the last event: only the framing broke
    return;
  }
  if (MayBeRescued(error)) {
    Finish(AttemptResult::Kind::kBroken, error);
    return;
  }
  const bool events = takes_over_ || std::holds_alternative<StreamRelay>(relay_);
  answer_.Break(events ? BreakPoint::kBetweenEvents : BreakPoint::kBody, error);
  Finish(AttemptResult::Kind::kInterrupted, error);
}

/// Not when it is we who end it.
bool Attempt::MayBeRescued(const Error& error) const noexcept {
  const bool upstreams = error.code != ErrorCode::kDeadlineExceeded && error.code != ErrorCode::kDraining &&
                         error.code != ErrorCode::kOverloaded;
  return upstreams && seam_.has_value() && seam_->joinable();
}

void Attempt::Finish(AttemptResult::Kind kind, const Error& error) {
  timer_.Cancel();
  stream_.Cancel();
  result_.kind = kind;
  result_.error = error;
  CountOutcome();
  lease_.Release();
  if (kind == AttemptResult::Kind::kRefused && !answer_.committed()) answer_.Discard();
  done_.Set();
}

void Attempt::CountOutcome() {
  // What a stream that did not end has told of its tokens (FAULTS C-01).
  if (const auto* stream = std::get_if<StreamRelay>(&relay_); stream != nullptr && !context_.record.usage.known)
    context_.record.usage = stream->usage();
  telemetry::Slab& slab = context_.worker.metrics.slab;
  const telemetry::EndpointMetrics& metrics = pool_->endpoint().metrics;
  metrics.inflight.Sub(slab);
  const auto outcome = cancelled_ ? telemetry::AttemptOutcome::kCancelled : OutcomeOf(result_);
  metrics.attempts[static_cast<std::size_t>(outcome)].Add(slab);
  TellBreaker(outcome);
  TellLimit(outcome);
  context_.record.upstream_time += std::max(context_.now() - begun_, Duration{});
  context_.record.forwarded = TimePoint{};
}

bool Attempt::RestEndpoint() {
  if (result_.status != 429 && result_.status != 503) return false;
  const auto wait = RetryAfterOf(*refusal_head_, context_.worker.worker.Wall());
  if (!wait.has_value() || *wait <= Duration::zero()) return false;
  pool_->endpoint().rest.RestFor(context_.now(), *wait);
  return true;
}

/// What is the endpoint's fault, what is to its credit, and what says nothing about it.
void Attempt::TellBreaker(telemetry::AttemptOutcome outcome) {
  using telemetry::AttemptOutcome;
  const bool theirs = outcome != AttemptOutcome::kOk && outcome != AttemptOutcome::kStatus4xx &&
                      outcome != AttemptOutcome::kThrottled && outcome != AttemptOutcome::kCancelled;
  // The drain and our own limits are not its fault, nor is the end of the request's time: unless it had as long as a
  // first token may take, and there was none.
  const ErrorCode code = result_.error.code;
  const Duration patience = context_.cluster->route->config->timeouts.first_token;
  const bool hurried = code == ErrorCode::kDraining || code == ErrorCode::kOverloaded ||
                       (code == ErrorCode::kDeadlineExceeded && (content_seen_ || context_.now() - begun_ < patience));
  if (outcome == AttemptOutcome::kTimeout && !hurried) SampleLatency();
  if (outcome == AttemptOutcome::kOk) {
    permit_.Success(context_.now());
  } else if (theirs && !hurried && !resting_) {
    permit_.Failure(context_.now(), context_.worker.worker.prng());
  } else {
    permit_.Ignored();
  }
}

void Attempt::SampleLatency() {
  if (sampled_) return;
  sampled_ = true;
  pool_->endpoint().load.latency().Observe(context_.now(), context_.now() - begun_);
}

/// For `max_concurrency: auto`: how long a whole answer took, and what speaks of too much load. A stream's first
/// content was told when it came.
void Attempt::TellLimit(telemetry::AttemptOutcome outcome) {
  upstream::Endpoint& endpoint = pool_->endpoint();
  if (!endpoint.finds_limit()) return;
  using telemetry::AttemptOutcome;
  if (outcome == AttemptOutcome::kThrottled || outcome == AttemptOutcome::kTimeout || resting_) {
    endpoint.found_limit.OnOverload(context_.now());
  } else if (outcome == AttemptOutcome::kOk && !streamed_) {
    const std::uint64_t tokens = context_.record.usage.known ? context_.record.usage.completion_tokens : 0;
    const Duration took = context_.now() - begun_;
    endpoint.found_limit.OnLatency(tokens == 0 ? policy::LatencyKind::kWhole : policy::LatencyKind::kPerToken,
                                   took / static_cast<std::int64_t>(std::max<std::uint64_t>(tokens, 1)), among_,
                                   context_.now());
  }
}

void Attempt::Cancel() {
  timer_.Cancel();
  if (!lease_) return;
  cancelled_ = true;
  stream_.Cancel();
  CountOutcome();
  lease_.Release();
}

void Attempt::Expire(const Error& error) {
  if (lease_) Fail(error);
}

void Attempt::Reset() {
  PENSTOCK_ASSERT(!lease_);
  relay_.emplace<std::monostate>();
  seam_.reset();
  refusal_head_.reset();
  refusal_ = {};
  request_head_.reset();
  pool_.reset();
  done_.Reset();
}

// --- time ---

void Attempt::Await(Duration limit, const char* what) {
  due_ = context_.now() + limit;
  awaited_ = what;
  if (!timer_.armed() || timer_.deadline() > due_) context_.worker.worker.timers().Arm(timer_, due_);
}

/// An event came. The timer is left where it is and looks at due_ when it fires: no work per token.
void Attempt::Progress(const RelayStep& step) {
  if (step.content && !content_seen_ && streamed_ && pool_->endpoint().finds_limit()) {
    pool_->endpoint().found_limit.OnLatency(policy::LatencyKind::kFirstToken, context_.now() - begun_, among_,
                                            context_.now());
  }
  content_seen_ = content_seen_ || step.content;
  if (step.content) SampleLatency();
  // A probe that has content has proved the endpoint; its stream may last for minutes, and nobody else is let in.
  if (step.content && permit_.probe()) permit_.Success(context_.now());
  if (!streamed_ || !content_seen_) return;
  Await(context_.cluster->route->config->timeouts.idle, "the stream stood still");
  AwaitSilence();
}

/// A comment is due when the upstream says nothing for so long.
void Attempt::AwaitSilence() {
  const Duration keepalive = context_.snapshot().config.server.sse_keepalive;
  if (keepalive == Duration::zero() || !(takes_over_ || std::holds_alternative<StreamRelay>(relay_))) return;
  keepalive_due_ = context_.now() + keepalive;
  if (!timer_.armed() || timer_.deadline() > keepalive_due_)
    context_.worker.worker.timers().Arm(timer_, keepalive_due_);
}

void Attempt::OnTimer() {
  const TimePoint now = context_.now();
  if (paused_) {
    // Waiting for the client, not for the upstream.
    due_ = now + context_.cluster->route->config->timeouts.idle;
    keepalive_due_ = TimePoint::Max();
  }
  if (now >= due_) {
    Fail(UpstreamError(ErrorCode::kUpstreamTimeout, Retry::kUnproven, awaited_));
    return;
  }
  if (now >= keepalive_due_) {
    if (answer_.committed()) answer_.Append(kKeepaliveComment);
    keepalive_due_ = now + context_.snapshot().config.server.sse_keepalive;
  }
  context_.worker.worker.timers().Arm(timer_, std::min(due_, keepalive_due_));
}

// --- backpressure ---

/// What may lie here before the upstream is paused. Over HTTP/2 it may still send its window then, which is half of the
/// watermark; pausing costs nothing there, so it is done early and the sum stays well below.
std::size_t Attempt::PauseAt() const noexcept {
  const bool crowded = context_.worker.crowded();
  if (stream_.window() != 0) return crowded ? 1 : watermark_ / 8;
  return crowded ? kWatermarkCrowded : watermark_;
}

/// A slow client does not hold up those who follow its call, unless too much would have to wait for it.
std::size_t Attempt::HeldMax() const noexcept {
  const bool followed = context_.cache.followed() && !context_.worker.crowded();
  return followed ? context_.snapshot().config.cache.max_entry : PauseAt();
}

void Attempt::Backpressure() {
  if (paused_ || !answer_.committed()) return;
  if (answer_.backlog() < HeldMax()) return;
  paused_ = true;
  stream_.SetPaused(true);
}

void Attempt::OnSent() {
  if (!running()) return;  // it may have ended while paused; nothing is to be resumed, and no timer may be left behind
  const std::size_t backlog = answer_.backlog();
  // A reader that took all of a window keeps up: it may have more under way, as long as all together have not too much.
  if (backlog == 0 && received_ >= watermark_ / 2 && watermark_ < kWatermarkMax && !context_.worker.crowded()) {
    watermark_ = std::min(2 * watermark_, kWatermarkMax);
    received_ = 0;
    stream_.GrowWindow(watermark_ / 2);
  }
  if (paused_ && backlog <= HeldMax() / 2) Resume();
}

void Attempt::OnFollowed() {
  if (running() && paused_ && answer_.backlog() < HeldMax()) Resume();
}

void Attempt::Resume() {
  paused_ = false;
  if (streamed_) Await(context_.cluster->route->config->timeouts.idle, "the stream stood still");
  AwaitSilence();
  stream_.SetPaused(false);
}

}  // namespace penstock::proxy
