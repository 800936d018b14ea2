#include "proxy/grpc/turn.hpp"

#include "proxy/grpc/call.hpp"
#include "proxy/header_rules.hpp"
#include "proxy/text.hpp"
#include "proxy/worker_context.hpp"

namespace penstock::proxy {
GrpcTurn::GrpcTurn(GrpcCall& call, WorkerContext& worker)
    : call_(call), worker_(worker), body_(worker.worker.chunks()) {}

void GrpcTurn::Begin(const grpc::Method* method) {
  part_.method = method;
  events_ = llm::SseDecoder(worker_.view->snapshot->config.server.limits.response_body);
  if (method != nullptr) translator_.Begin(*method, part_.facts);
}

void GrpcTurn::Reset() {
  handler = nullptr;
  body_.Clear();
  events_.Reset();
  part_ = {};
  error_.reset();
  mode_ = Mode::kNone;
  status_ = 0;
  retry_after_ = {};
  over_ = false;
}

const rt::Address& GrpcTurn::peer() const noexcept { return call_.stream().peer(); }
bool GrpcTurn::Covers(std::string_view host) { return call_.stream().Covers(host); }

void GrpcTurn::SendHead(const http::Head& head, bool end) {
  status_ = head.status;
  if (head.status != 200) {
    mode_ = Mode::kRefusal;
    retry_after_ = RetryAfterOf(head, {}).value_or(Duration{});
  } else if (part_.messages) {
    mode_ = Mode::kMessages;
  } else {
    mode_ = HasMediaType(head, "text/event-stream") ? Mode::kEvents : Mode::kWhole;
  }
  call_.TakeFields(head);
  if (end) End(false);
}

void GrpcTurn::BodyReady() {
  switch (mode_) {
    case Mode::kEvents: TakeEvents(); return;
    case Mode::kMessages: call_.SendRaw(std::move(body_)); return;
    case Mode::kNone:
    case Mode::kWhole:
    case Mode::kRefusal: return;  // looked at when it is whole
  }
}

void GrpcTurn::TakeEvents() {
  llm::SseEvent event;
  while (!body_.empty()) {
    const std::string_view piece = body_.Front();
    events_.Feed(piece);
    llm::SseDecoder::Step step = events_.Next(event);
    for (; step == llm::SseDecoder::Step::kEvent; step = events_.Next(event)) TakeEvent(event);
    if (step == llm::SseDecoder::Step::kTooLong && !error_.has_value())
      error_ = {"an event is larger than a message may be", "upstream_error", "upstream_protocol", ""};
    body_.Consume(piece.size());
  }
}

void GrpcTurn::TakeEvent(const llm::SseEvent& event) {
  if (!event.has_data || error_.has_value()) return;
  std::string& message = worker_.grpc_message;
  message.clear();
  if (translator_.Event(event.data, worker_.json, message)) {
    call_.Send(message);
  } else {
    error_ = grpc::ReadErrorObject(event.data, worker_.json);
  }
}

void GrpcTurn::EndBody() { End(false); }
void GrpcTurn::CutBody() { End(true); }

void GrpcTurn::End(bool cut) {
  if (over_) return;
  over_ = true;
  if (mode_ == Mode::kEvents || mode_ == Mode::kMessages) BodyReady();
  grpc::Status status = EndStatus(cut);
  body_.Clear();
  call_.OnTurnOver(*this, std::move(status));
}

grpc::Status GrpcTurn::EndStatus(bool cut) {
  if (part_.status.has_value()) {
    part_.status->retry_after = retry_after_;
    return *part_.status;
  }
  std::string scratch;
  if (mode_ == Mode::kRefusal) return Refused(grpc::ReadErrorObject(InOnePiece(body_, scratch), worker_.json));
  if (error_.has_value()) return Refused(error_);
  if (cut) return {grpc::StatusOf(ErrorCode::kStreamInterrupted), "the answer was interrupted", "stream_interrupted"};
  std::string& message = worker_.grpc_message;
  message.clear();
  if (mode_ == Mode::kWhole) {
    if (!translator_.Whole(InOnePiece(body_, scratch), worker_.json, message)) {
      return {grpc::StatusOf(ErrorCode::kUpstreamProtocol), "the upstream's answer is not what was asked for",
              "upstream_protocol"};
    }
    call_.Send(message);
    message.clear();
  }
  if (mode_ != Mode::kMessages && translator_.Finish(message)) call_.Send(message);
  return {};
}

/// Where the pipeline has an error of its own it says which; an upstream's refusal goes by its status.
grpc::Status GrpcTurn::Refused(const std::optional<grpc::ErrorObject>& error) const {
  grpc::Status status;
  status.code = grpc::StatusOf(status_, error.has_value() ? std::string_view(error->code) : std::string_view{});
  if (status.code == grpc::StatusCode::kOk) status.code = grpc::StatusOf(ErrorCode::kStreamInterrupted);
  status.retry_after = retry_after_;
  if (!error.has_value()) {
    status.message = "the upstream refused the request";
    return status;
  }
  status.message = error->message;
  status.reason = error->code;
  status.type = error->type;
  status.param = error->param;
  return status;
}

void GrpcTurn::Drop() { call_.stream().Drop(); }

/// Without what this turn keeps until it is whole: no client could hurry that, and PlainRelay bounds it.
std::size_t GrpcTurn::unsent() const noexcept { return call_.stream().unsent(); }

}  // namespace penstock::proxy
