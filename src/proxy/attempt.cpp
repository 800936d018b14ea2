#include "proxy/attempt.hpp"

#include <algorithm>
#include <utility>

#include "penstock/base/assert.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "proxy/header_rules.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kWatermarkMax = 64 * 1024;            // a reader that keeps up may have this much under way
constexpr std::size_t kSeamTextMax = std::size_t{1} << 20;  // of an answer, to be rescued; longer ones are not
constexpr std::size_t kWatermarkCrowded = 4 * 1024;  // while all together hold more than buffered_bytes; HTTP/1.1

telemetry::AttemptOutcome OutcomeOf(const AttemptResult& result) noexcept {
  using telemetry::AttemptOutcome;
  if (result.kind == AttemptResult::Kind::kDelivered) return AttemptOutcome::kOk;
  if (result.kind == AttemptResult::Kind::kRefused) {
    // A 5xx that is the request's fault is none of the endpoint's.
    const bool requests_fault = result.status >= 500 && result.error.retry == Retry::kNever;
    return requests_fault ? AttemptOutcome::kStatus4xx : OutcomeOfStatus(result.status);
  }
  if (result.kind == AttemptResult::Kind::kInterrupted || result.kind == AttemptResult::Kind::kBroken)
    return AttemptOutcome::kTruncated;
  return OutcomeOfError(result.error);
}

/// Not when it is we who end it.
bool IsUpstreams(const Error& error) noexcept {
  return error.code != ErrorCode::kDeadlineExceeded && error.code != ErrorCode::kDraining &&
         error.code != ErrorCode::kOverloaded;
}

}  // namespace

Attempt::Attempt(RequestContext& context, Answer& answer)
    : context_(context),
      answer_(answer),
      timer_(this, [](void* self) { static_cast<Attempt*>(self)->OnTimer(); }),
      call_(std::make_unique<Call>(context, *this)) {}

const std::string& Attempt::refusal_as_sent() const noexcept {
  if (const auto* refusal = std::get_if<RefusalRelay>(&relay_)) return refusal->body();
  if (const auto* aggregate = std::get_if<AggregateRelay>(&relay_)) return aggregate->refusal();
  return std::get<StreamRelay>(relay_).refusal();
}

void Attempt::Begin(Slot slot, const Takeover* takeover) {
  const TimePoint now = context_.worker.worker.ReadClock();
  RequestRecord& record = context_.record;
  record.endpoint = &slot.pool->endpoint();
  record.forwarded = now;
  takes_over_ = takeover != nullptr;
  took_backup_ = first_is_out_ = false;
  Start();
  PrepareSeam(takeover);
  if (takes_over_) AwaitSilence();
  call_->Begin(takes_over_ ? *takeover->request : *context_.request, std::move(slot), ++record.attempts, now);
}

/// As if nothing had come.
void Attempt::Start() {
  ++round_;
  result_ = {};
  done_.Reset();
  resting_ = false;
  paused_ = false;
  due_ = keepalive_due_ = TimePoint::Max();
  relay_.emplace<std::monostate>();
  received_ = 0;
  content_seen_ = false;
  watermark_ = context_.snapshot().config.server.limits.stream_buffer;
  context_.record.usage = {};
  if (context_.cache.lead.has_value()) context_.cache.lead->OnAttempt();
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
  if (call_->streamed()) Await(context_.cluster->route->config->timeouts.headers, "no response head in time");
}

void Attempt::OnHead(http::HeadPtr head) {
  call_->endpoint().load.NoteProgress(context_.now());
  if (head->status >= 400) {
    resting_ = call_->Rest(*head);
    refusal_head_ = std::move(head);
    relay_.emplace<RefusalRelay>();
    return;
  }
  if (head->status != 200 || HasMediaType(*head, "text/html")) {
    Fail(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "the upstream's answer is none of this API's"));
    return;
  }
  const bool events = IsEventStream(*head);
  if (takes_over_) {
    if (!events) return Fail(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "no stream to go on with"));
    relay_.emplace<StreamRelay>(context_, answer_, StreamJoin{&*seam_, true});
    Await(context_.cluster->route->config->timeouts.first_token, "no first token in time");
    return;
  }
  if (context_.cache.lead.has_value()) {
    const bool wanted_events = context_.request->stream && llm::CanStream(context_.request->family);
    const bool gives_events = events && !call_->aggregate();
    cache::CacheControl control = CacheControlOf(*head);
    // In another form than was asked for it is relayed, and no more than that (FAULTS U-16).
    if (gives_events != wanted_events) control.no_store = true;
    context_.cache.lead->OnHead(gives_events ? cache::Form::kEvents : cache::Form::kWhole, control);
  }
  answer_.Hold(std::move(head));
  if (events && call_->aggregate()) {
    relay_.emplace<AggregateRelay>(context_, answer_);
  } else if (events) {
    relay_.emplace<StreamRelay>(context_, answer_, StreamJoin{seam_.has_value() ? &*seam_ : nullptr, false});
  } else {
    relay_.emplace<PlainRelay>(context_, answer_);
    call_->SampleLatency();
  }
  if (!call_->streamed()) return;
  const config::Timeouts& timeouts = context_.cluster->route->config->timeouts;
  if (events) {
    Await(timeouts.first_token, "no first token in time");
  } else {
    Await(timeouts.idle, "the answer stood still");  // it was asked to stream and answers in one piece (FAULTS U-16)
  }
}

void Attempt::OnBody(std::string_view bytes) {
  received_ += bytes.size();
  call_->endpoint().load.NoteProgress(context_.now());
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
      call_->SampleLatency();
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

bool Attempt::MayBeRescued(const Error& error) const noexcept {
  return IsUpstreams(error) && seam_.has_value() && seam_->joinable();
}

void Attempt::Finish(AttemptResult::Kind kind, const Error& error) {
  timer_.Cancel();
  result_.kind = kind;
  result_.error = error;
  EndCall(EndOf(result_));
  if (kind == AttemptResult::Kind::kRefused && !answer_.committed()) answer_.Discard();
  if (BackupStandsIn()) {
    first_is_out_ = error.code == ErrorCode::kUpstreamTimeout || asked_twice();
    return TakeBackup();
  }
  DropBackup();
  done_.Set();
}

CallEnd Attempt::EndOf(const AttemptResult& result) const {
  CallEnd end{.outcome = OutcomeOf(result), .resting = resting_};
  // The drain and our own limits are not its fault, nor is the end of the request's time: unless it had as long as a
  // first token may take, and there was none.
  const ErrorCode code = result.error.code;
  const Duration patience = context_.cluster->route->config->timeouts.first_token;
  const bool short_of_time =
      code == ErrorCode::kDeadlineExceeded && (content_seen_ || context_.now() - call_->begun() < patience);
  end.hurried = code == ErrorCode::kDraining || code == ErrorCode::kOverloaded || short_of_time;
  if (context_.record.usage.known) end.tokens = context_.record.usage.completion_tokens;
  return end;
}

void Attempt::EndCall(const CallEnd& end) {
  // What a stream that did not end has told of its tokens (FAULTS C-01).
  if (const auto* stream = std::get_if<StreamRelay>(&relay_); stream != nullptr && !context_.record.usage.known)
    context_.record.usage = stream->usage();
  call_->End(end);
  context_.record.upstream_time += std::max(context_.now() - context_.record.forwarded, Duration{});
  context_.record.forwarded = TimePoint{};
}

void Attempt::Cancel() {
  timer_.Cancel();
  DropBackup();
  if (running()) EndCall({});
}

void Attempt::Expire(const Error& error) {
  if (running()) Fail(error);
}

void Attempt::Reset() {
  PENSTOCK_ASSERT(!running() && backup_ == nullptr);
  relay_.emplace<std::monostate>();
  seam_.reset();
  refusal_head_.reset();
  refusal_ = {};
  call_->Reset();
  done_.Reset();
}

// --- two endpoints ---

bool Attempt::MayBeHedged() const noexcept {
  return running() && backup_ == nullptr && call_->streamed() && !content_seen_ && !takes_over_;
}

void Attempt::Hedge(Slot slot) {
  backup_ = std::make_unique<BackupCall>(context_, *this);
  backup_->Begin(std::move(slot), ++context_.record.attempts);
}

/// The other call has begun to answer, and this one has not.
void Attempt::OnBackupContent() {
  NoteFirstToken();
  call_->SampleLatency();  // it takes so long at least
  timer_.Cancel();
  answer_.Discard();
  EndCall({});
  TakeBackup();
}

void Attempt::OnBackupLost() { DropBackup(); }

/// The call failed in a way in which the other one need not.
bool Attempt::BackupStandsIn() const noexcept {
  if (backup_ == nullptr || !IsUpstreams(result_.error) || result_.error.retry == Retry::kNever) return false;
  if (result_.kind == AttemptResult::Kind::kFailed) return true;
  return result_.kind == AttemptResult::Kind::kRefused &&
         (result_.status >= 500 || result_.status == 429 || result_.status == 408);
}

/// The backup is the call from here on, and what it has goes the way of every answer.
void Attempt::TakeBackup() {
  took_backup_ = true;
  BackupCall::Arrived arrived = backup_->Deliver();
  BuryBackup(true);
  call_ = std::move(arrived.call);
  call_->HandOver(*this);
  context_.record.endpoint = &call_->endpoint();
  context_.record.forwarded = context_.now();
  Start();
  PrepareSeam(nullptr);
  const std::uint32_t round = round_;
  if (arrived.request_sent) OnRequestSent();
  if (arrived.head) OnHead(std::move(arrived.head));
  if (round == round_ && running() && !arrived.bytes.empty()) OnBody(arrived.bytes);
  if (round == round_ && running() && arrived.ended) OnEnd();
}

void Attempt::DropBackup() {
  if (backup_ == nullptr) return;
  backup_->Cancel();
  BuryBackup(false);
}

/// It may be the one that tells us.
void Attempt::BuryBackup(bool answered) {
  context_.worker.worker.Bury(std::move(backup_));
  context_.worker.metrics.gateway.hedges[answered ? 1 : 0].Add(context_.worker.metrics.slab);
}

/// For `hedge.after: p95`: what the first token takes, or at least takes.
void Attempt::NoteFirstToken() {
  if (call_->streamed() && context_.model->hedging != nullptr)
    context_.model->hedging->first_tokens.Observe(context_.now(), context_.now() - call_->begun());
}

// --- time ---

void Attempt::Await(Duration limit, const char* what) {
  due_ = context_.now() + limit;
  awaited_ = what;
  if (!timer_.armed() || timer_.deadline() > due_) context_.worker.worker.timers().Arm(timer_, due_);
}

/// An event came. The timer is left where it is and looks at due_ when it fires: no work per token.
void Attempt::Progress(const RelayStep& step) {
  if (step.content && !content_seen_) {
    content_seen_ = true;
    call_->OnContent();
    NoteFirstToken();
    DropBackup();
  }
  if (!call_->streamed() || !content_seen_) return;
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
  if (call_->stream().window() != 0) return crowded ? 1 : watermark_ / 8;
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
  call_->stream().SetPaused(true);
}

void Attempt::OnSent() {
  if (!running()) return;  // it may have ended while paused; nothing is to be resumed, and no timer may be left behind
  const std::size_t backlog = answer_.backlog();
  // A reader that took all of a window keeps up: it may have more under way, as long as all together have not too much.
  if (backlog == 0 && received_ >= watermark_ / 2 && watermark_ < kWatermarkMax && !context_.worker.crowded()) {
    watermark_ = std::min(2 * watermark_, kWatermarkMax);
    received_ = 0;
    call_->stream().GrowWindow(watermark_ / 2);
  }
  if (paused_ && backlog <= HeldMax() / 2) Resume();
}

void Attempt::OnFollowed() {
  if (running() && paused_ && answer_.backlog() < HeldMax()) Resume();
}

void Attempt::Resume() {
  paused_ = false;
  if (call_->streamed()) Await(context_.cluster->route->config->timeouts.idle, "the stream stood still");
  AwaitSilence();
  call_->stream().SetPaused(false);
}

}  // namespace penstock::proxy
