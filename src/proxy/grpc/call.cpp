#include "proxy/grpc/call.hpp"

#include <algorithm>
#include <utility>

#include "penstock/proxy/error_reply.hpp"
#include "penstock/proxy/gateway.hpp"
#include "proxy/exchange.hpp"
#include "proxy/header_rules.hpp"
#include "proxy/text.hpp"

namespace penstock::proxy {
namespace {

using grpc::Status;
using grpc::StatusCode;
using http::HeaderId;

constexpr std::size_t kMessageKeepMax = 16 * 1024;   // a recycled call keeps a buffer of this size at most
constexpr std::size_t kUnsentMax = 64 * 1024;        // of answers; beyond it a streaming client's next message waits
constexpr std::size_t kLocalMessageMax = 64 * 1024;  // to what the gateway answers itself

/// What is 400 over HTTP is 13 where the framing is at fault.
Status BrokenFraming(const Error& error) {
  Status status = StatusOf(error);
  status.code = StatusCode::kInternal;
  return status;
}

/// In HTTP's name for it, so that the pipeline has one rule for deadlines; whole milliseconds, at least one.
void SetTimeout(http::Head& head, Duration left) {
  constexpr std::int64_t kMs = 1'000'000;
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>((left.count() + kMs - 1) / kMs, 1));
  const auto wish = policy::ParseTimeoutMs(head.Find(HeaderId::kXPenstockTimeoutMs));
  if (wish.has_value() && *wish <= left) return;
  head.Remove(HeaderId::kXPenstockTimeoutMs);
  head.Add("x-penstock-timeout-ms", Decimal(ms).view(), HeaderId::kXPenstockTimeoutMs);
}

/// Each turn of a call is told of under an id of its own.
void NumberRequestId(http::Head& head, std::size_t number) {
  std::string id(head.Find(HeaderId::kXRequestId));
  if (id.empty()) return;
  id += '-';
  id += Decimal(number).view();
  head.Remove(HeaderId::kXRequestId);
  head.Add("x-request-id", id, HeaderId::kXRequestId);
}

http::HeadPtr CopyOf(const http::Head& from, http::HeadPool& pool) {
  http::HeadPtr to = pool.Take();
  to->version = from.version;
  to->method = from.method;
  to->framing = from.framing;
  to->set_method_text(from.method_text());
  to->set_scheme(from.scheme());
  to->set_authority(from.authority());
  to->set_target(from.target());
  for (std::size_t i = 0; i < from.size(); ++i) {
    const http::Head::Field field = from.field(i);
    to->Add(field.name, field.value, field.id);
  }
  return to;
}

/// Fields of the HTTP answer that say nothing of a gRPC one, or that a gRPC client would take for its own.
bool IsMetadata(const http::Head::Field& field) noexcept {
  switch (field.id) {
    case HeaderId::kContentType:
    case HeaderId::kContentLength:
    case HeaderId::kContentEncoding:
    case HeaderId::kCacheControl:
    case HeaderId::kVary:
    case HeaderId::kRetryAfter:
    case HeaderId::kRetryAfterMs: return false;
    case HeaderId::kOther:
      if (field.name == "www-authenticate" || field.name == "allow" || field.name == "x-should-retry") return false;
      return !grpc::IsReserved(field.name) && !field.name.ends_with("-bin");
    default: return true;
  }
}

}  // namespace

GrpcCall::GrpcCall(Gateway& gateway, WorkerContext& worker)
    : gateway_(gateway),
      worker_(worker),
      deadline_timer_(this, [](void* self) { static_cast<GrpcCall*>(self)->OnDeadline(); }),
      message_timer_(this, [](void* self) { static_cast<GrpcCall*>(self)->OnSlowMessage(); }),
      again_timer_(this, [](void* self) { static_cast<GrpcCall*>(self)->Flush(); }),
      turn_(*this, worker) {}

GrpcCall::~GrpcCall() = default;

void GrpcCall::Begin(server::ResponseStream& stream, http::HeadPtr head, bool body_follows, const Error* reject) {
  stream_ = &stream;
  method_ = grpc::FindMethod(head->target());
  std::optional<Status> failure;
  if (reject == nullptr) failure = ReadHead(*head);
  if (deadline_.has_value()) worker_.worker.timers().Arm(deadline_timer_, *deadline_);
  if (streams() && reject == nullptr) {
    stream.ExpectNoEnd();
    request_head_ = std::move(head);
    if (failure.has_value()) return End(*failure);
    OpenTurn(true);  // so that a bad key is refused before anything is taken
    if (!body_follows && !ended_) OnEnd();
    return;
  }
  if (deadline_.has_value()) SetTimeout(*head, *deadline_ - worker_.worker.Now());
  turn_.Begin(method_);
  Exchange& exchange = gateway_.Take();
  turn_.handler = &exchange;
  if (failure.has_value()) turn_.part().status = *failure;
  const Error unsupported = DownstreamError(ErrorCode::kUnsupportedMedia, "the call's metadata is not understood");
  const Error* const refusal = reject == nullptr && failure.has_value() ? &unsupported : reject;
  exchange.Begin(turn_, std::move(head), true, false, refusal, &turn_.part());
  if (!body_follows && !turn_.over()) OnEnd();
}

/// Takes down what gRPC itself says in the head. A status: the call cannot be served.
std::optional<Status> GrpcCall::ReadHead(const http::Head& head) {
  if (const std::string_view timeout = head.Find("grpc-timeout"); timeout.data() != nullptr) {
    const std::optional<Duration> wish = grpc::ParseTimeout(timeout);
    if (!wish.has_value()) return Status{StatusCode::kInternal, "grpc-timeout is malformed", "bad_request"};
    deadline_ = policy::Deadline::After(worker_.worker.Now(), *wish).at;
  }
  if (grpc::ContentTypeOf(head.Find(HeaderId::kContentType)) != grpc::ContentType::kProto)
    return Status{StatusCode::kUnimplemented, "messages are taken as protobuf only", "unsupported_media"};
  const std::optional<grpc::Coding> coding = grpc::ParseCoding(head.Find("grpc-encoding"));
  coding_refused_ = !coding.has_value();
  if (coding_refused_)
    return Status{StatusCode::kUnimplemented, "messages are taken as identity and gzip", "unsupported_media"};
  // As the client does itself, so does its server (grpc-go's rule).
  if (*coding == grpc::Coding::kGzip && grpc::Accepts(head.Find("grpc-accept-encoding"), *coding)) coding_ = *coding;
  const std::size_t message_max = worker_.view->snapshot->config.server.limits.request_body;
  const bool forwarded = method_ == nullptr || method_->service == grpc::Service::kCompletions ||
                         method_->service == grpc::Service::kKserve;
  reader_.Begin(*coding, forwarded ? message_max : std::min(message_max, kLocalMessageMax));
  return std::nullopt;
}

// --- the request ---

void GrpcCall::OnBody(std::string_view bytes) {
  if (ended_ || (!streams() && turn_.over())) return;
  reader_.Feed(bytes);
  TakeMessages();
}

void GrpcCall::TakeMessages() {
  std::string_view message;
  while (!ended_) {
    const std::size_t running = turns_.size() - (open_ != nullptr ? 1 : 0);
    if (streams() && (running == kTurnsMax || stream_->unsent() >= kUnsentMax)) {
      message_timer_.Cancel();
      reader_.Park();
      if (!std::exchange(paused_, true)) stream_->PauseBody(true);
      return;
    }
    const grpc::MessageReader::Step step = reader_.Next(message);
    if (step == grpc::MessageReader::Step::kNeedMore) break;
    if (step == grpc::MessageReader::Step::kFailed) {
      const bool large = reader_.failure().code == StatusCode::kResourceExhausted;
      return FailRequest(reader_.failure(), DownstreamError(large ? ErrorCode::kBodyTooLarge : ErrorCode::kBadRequest,
                                                            "the call's messages are malformed"));
    }
    ++messages_;
    if (streams()) {
      message_timer_.Cancel();
      RunTurn(message);
    } else if (messages_ == 1) {
      turn_.part().gathered = 0;
      turn_.handler->OnBody(message);
      if (turn_.over()) return;
    } else {
      return FailRequest({StatusCode::kUnimplemented, "this method takes one message", "bad_request"},
                         DownstreamError(ErrorCode::kBadRequest, "more than one message"));
    }
  }
  if (ended_) return;
  if (std::exchange(paused_, false)) stream_->PauseBody(false);
  Gather();
}

/// Looks after what has come of the next message.
void GrpcCall::Gather() {
  if (reader_.Finish()) return reader_.Shrink(kMessageKeepMax);
  if (request_over_) return FailTornRequest();
  if (streams() && !message_timer_.armed())  // elsewhere the session has a clock for it
    worker_.worker.Arm(message_timer_, worker_.view->snapshot->config.server.limits.body_timeout);
  GrpcTurn* const turn = Coming();
  if (turn == nullptr) return;
  turn->part().gathered = reader_.held();
  turn->handler->OnBody({});  // nothing yet, but memory may be short by now
}

/// The turn of the message that is coming; null: it was refused, and the call has ended.
GrpcTurn* GrpcCall::Coming() {
  if (!streams()) return &turn_;
  if (open_ == nullptr) OpenTurn(true);
  return open_;
}

/// Of a client that streams: it began a message and does not end it.
void GrpcCall::OnSlowMessage() {
  if (ended_) return;
  const Error error = DownstreamError(ErrorCode::kRequestTimeout, "the message came too slowly");
  FailRequest(StatusOf(error), error);
}

/// The next message's turn: route, key and load are looked at now. `ahead`: the message is not there yet, and a refusal
/// is the call's.
GrpcTurn& GrpcCall::OpenTurn(bool ahead) {
  GrpcTurn& turn = *turns_.emplace_back(std::make_unique<GrpcTurn>(*this, worker_));
  http::HeadPtr head = CopyOf(*request_head_, worker_.heads);
  NumberRequestId(*head, ++opened_);
  if (deadline_.has_value()) SetTimeout(*head, *deadline_ - worker_.worker.Now());
  turn.Begin(method_);
  Exchange& exchange = gateway_.Take();
  turn.handler = &exchange;
  if (ahead) open_ = &turn;
  exchange.Begin(turn, std::move(head), true, false, nullptr, &turn.part());
  return turn;
}

void GrpcCall::RunTurn(std::string_view message) {
  GrpcTurn& turn = open_ != nullptr ? *std::exchange(open_, nullptr) : OpenTurn(false);
  if (turn.over()) return;
  turn.part().gathered = 0;
  turn.handler->OnBody(message);
  if (!turn.over()) turn.handler->OnEnd();
}

void GrpcCall::OnEnd() {
  request_over_ = true;
  if (ended_ || (!streams() && turn_.over())) return;
  if (!reader_.Finish() && !paused_) return FailTornRequest();
  if (streams()) return EndIfDone();
  if (messages_ == 0) {
    const Error error = DownstreamError(ErrorCode::kBadRequest, "the request has no message");
    return FailRequest(BrokenFraming(error), error);
  }
  turn_.handler->OnEnd();
}

void GrpcCall::FailTornRequest() {
  const Error error = DownstreamError(ErrorCode::kBadRequest, "the request ended within a message");
  FailRequest(BrokenFraming(error), error);
}

/// The message that is coming is none, and the call ends.
void GrpcCall::FailRequest(Status status, const Error& error) {
  GrpcTurn* const turn = Coming();
  if (turn == nullptr) return;
  turn->part().status = std::move(status);
  turn->handler->OnRequestFailed(error);
}

void GrpcCall::OnRequestFailed(const Error& error) {
  if (ended_ || (!streams() && turn_.over())) return;
  FailRequest(StatusOf(error), error);
}

void GrpcCall::OnDeadline() {
  if (ended_) return;
  if (!streams()) return static_cast<Exchange*>(turn_.handler)->OnDeadline();
  ended_ = true;  // what the turns still have to say, the status says
  for (const std::unique_ptr<GrpcTurn>& turn : turns_) {
    if (!turn->over()) static_cast<Exchange*>(turn->handler)->OnDeadline();
  }
  End({StatusCode::kDeadlineExceeded, "the call's time is over", "deadline_exceeded"});
}

// --- the answer ---

void GrpcCall::TakeFields(const http::Head& from) {
  if (head_sent_ || head_ != nullptr) return;
  head_ = worker_.heads.Take();
  for (std::size_t i = 0; i < from.size(); ++i) {
    const http::Head::Field field = from.field(i);
    if (IsMetadata(field)) head_->Add(field.name, field.value, field.id);
  }
}

/// With what every gRPC answer's head has. It is sent with the first message, or is all there is.
http::HeadPtr GrpcCall::TakeHead() {
  head_sent_ = true;
  http::HeadPtr head = head_ != nullptr ? std::move(head_) : worker_.heads.Take();
  head->status = 200;
  head->Add("content-type", kGrpcType, HeaderId::kContentType);
  if (coding_refused_) head->Add("grpc-accept-encoding", grpc::kAcceptedCodings);
  if (coding_ == grpc::Coding::kGzip) head->Add("grpc-encoding", "gzip");
  return head;
}

Chain& GrpcCall::Body() {
  if (!head_sent_) stream_->SendHead(*TakeHead(), false);
  return stream_->body();
}

void GrpcCall::Send(std::string_view message) {
  if (ended_) return;
  grpc::AppendMessage(Body(), message, coding_);
  stream_->BodyReady();
}

void GrpcCall::SendRaw(Chain&& messages) {
  if (ended_ || messages.empty()) return messages.Clear();
  Body().Append(std::move(messages));
  stream_->BodyReady();
}

void GrpcCall::OnTurnOver(GrpcTurn& turn, Status status) {
  if (ended_) return;
  if (!streams() || &turn == &turn_) return End(status);
  worker_.worker.FlushLater(*this);  // the exchange is at work further down the stack
  if (status.code == StatusCode::kOk) return;
  if (&turn == open_) return End(status);
  std::string& message = worker_.grpc_message;
  message.clear();
  if (turn.Failure(status.message, message)) {
    Send(message);
  } else {
    End(status);
  }
}

void GrpcCall::End(const Status& status) {
  ended_ = true;
  deadline_timer_.Cancel();
  message_timer_.Cancel();
  open_ = nullptr;
  for (const std::unique_ptr<GrpcTurn>& turn : turns_) {
    if (!turn->over()) std::exchange(turn->handler, nullptr)->OnGone(server::Departure::kClosed);
  }
  const bool only_trailers = !head_sent_;
  const http::HeadPtr trailers = only_trailers ? TakeHead() : worker_.heads.Take();
  grpc::AddStatus(*trailers, status);
  if (only_trailers) {
    stream_->SendHead(*trailers, true);
  } else {
    stream_->EndWith(*trailers);
  }
  if (reader_.held() > kMessageKeepMax) worker_.worker.FlushLater(*this);  // its last message may be in use
}

// --- the turns of a client that streams ---

/// At the end of the loop's turn: those whose answers are complete go, and there is room for the next.
void GrpcCall::Flush() {
  if (stream_ == nullptr) return;
  const TimePoint now = worker_.worker.Now();
  if (std::exchange(flushed_, now) == now && paused_ && !ended_) {  // others have a turn of the loop too
    flushed_ = {};
    worker_.worker.Arm(again_timer_, Duration::zero());
    return;
  }
  Reap();
  if (ended_) return reader_.Reset(kMessageKeepMax);
  if (paused_) TakeMessages();
  EndIfDone();
}

void GrpcCall::Reap() {
  for (std::unique_ptr<GrpcTurn>& turn : turns_) {
    if (!turn->over() || turn->handler == nullptr) continue;
    std::exchange(turn->handler, nullptr)->OnFinished();
  }
  std::erase_if(turns_, [](const std::unique_ptr<GrpcTurn>& turn) { return turn->handler == nullptr; });
}

/// Whoever flushes later may be another call by then, for calls are recycled.
void GrpcCall::EndIfDone() {
  if (!streams()) return;
  const bool only_open = turns_.size() == 1 && turns_.front().get() == open_;
  if (!request_over_ || paused_ || (!turns_.empty() && !only_open) || ended_) return;
  End({});
}

// --- the stream's own end ---

void GrpcCall::OnSent() {
  if (ended_) return;
  if (!streams()) return turn_.handler->OnSent();
  if (paused_) worker_.worker.FlushLater(*this);
  for (std::size_t i = 0; i < turns_.size(); ++i) {
    if (!ended_ && !turns_[i]->over()) turns_[i]->handler->OnSent();
  }
}

void GrpcCall::OnFinished() {
  if (turn_.handler != nullptr) std::exchange(turn_.handler, nullptr)->OnFinished();
  Reap();
  Recycle();
}

void GrpcCall::OnGone(server::Departure departure) {
  ended_ = true;
  if (turn_.handler != nullptr) std::exchange(turn_.handler, nullptr)->OnGone(departure);
  for (std::unique_ptr<GrpcTurn>& turn : turns_) {
    if (turn->handler != nullptr) std::exchange(turn->handler, nullptr)->OnGone(departure);
  }
  turns_.clear();
  Recycle();
}

void GrpcCall::Recycle() {
  deadline_timer_.Cancel();
  message_timer_.Cancel();
  again_timer_.Cancel();
  open_ = nullptr;
  flushed_ = {};
  deadline_.reset();
  turn_.Reset();
  turns_.clear();
  reader_.Reset(kMessageKeepMax);
  request_head_.reset();
  head_.reset();
  stream_ = nullptr;
  method_ = nullptr;
  coding_ = grpc::Coding::kIdentity;
  messages_ = opened_ = 0;
  head_sent_ = request_over_ = paused_ = ended_ = coding_refused_ = false;
  gateway_.Recycle(*this);
}

}  // namespace penstock::proxy
