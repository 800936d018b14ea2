#include "proxy/grpc/test_call.hpp"

#include <memory>
#include <string>
#include <utility>

#include "penstock/policy/deadline.hpp"
#include "proxy/grpc/part.hpp"
#include "proxy/worker_context.hpp"

namespace penstock::proxy {

using grpc::Status;
using grpc::StatusCode;
using http::HeaderId;

TestCall::TestCall(WorkerContext& worker, server::ResponseStream& stream)
    : worker_(worker),
      stream_(stream),
      head_(worker.heads.Take()),
      trailers_(worker.heads.Take()),
      deadline_(this, [](void* self) { static_cast<TestCall*>(self)->OnDeadline(); }),
      interval_(this, [](void* self) { static_cast<TestCall*>(self)->OnInterval(); }) {}

TestCall::~TestCall() = default;

void TestCall::Begin(const http::Head& head, bool body_follows) {
  if (auto status = ReadHead(head)) return End(*status);
  if (service_.streams()) stream_.ExpectNoEnd();
  if (!body_follows) OnEnd();
}

std::optional<Status> TestCall::ReadHead(const http::Head& head) {
  if (auto status = service_.Begin(head.target())) return status;
  if (const std::string_view timeout = head.Find("grpc-timeout"); timeout.data() != nullptr) {
    const std::optional<Duration> wish = grpc::ParseTimeout(timeout);
    if (!wish.has_value()) return Status{StatusCode::kInternal, "grpc-timeout is malformed"};
    worker_.worker.timers().Arm(deadline_, policy::Deadline::After(worker_.worker.Now(), *wish).at);
  }
  if (grpc::ContentTypeOf(head.Find(HeaderId::kContentType)) != grpc::ContentType::kProto)
    return Status{StatusCode::kUnimplemented, "messages are taken as protobuf only"};
  const std::optional<grpc::Coding> coding = grpc::ParseCoding(head.Find("grpc-encoding"));
  if (!coding.has_value()) return Status{StatusCode::kUnimplemented, "messages are taken as identity and gzip"};
  if (grpc::Accepts(head.Find("grpc-accept-encoding"), grpc::Coding::kGzip)) coding_ = grpc::Coding::kGzip;
  reader_.Begin(*coding, worker_.view->snapshot->config.server.limits.request_body);
  return grpc::EchoMetadata(head, *head_, *trailers_);
}

void TestCall::OnBody(std::string_view bytes) {
  if (ended_) return;
  reader_.Feed(bytes);
  Pump();
}

void TestCall::OnEnd() {
  request_over_ = true;
  Pump();
}

void TestCall::OnRequestFailed(const Error& error) {
  if (!ended_) End({grpc::StatusOf(error.code), error.context});
}

void TestCall::OnDeadline() {
  if (!ended_) End({StatusCode::kDeadlineExceeded, "the call's time is over"});
}

void TestCall::OnInterval() {
  due_ = true;
  Pump();
}

/// Answers come before further requests are looked at.
void TestCall::Pump() {
  while (!ended_) {
    if (const grpc::TestService::Reply* const reply = service_.next()) {
      if (!MaySend(*reply)) {
        reader_.Park();
        return stream_.PauseBody(true);
      }
      Send(*reply);
    } else if (service_.over()) {
      return End({});
    } else if (!TakeMessage()) {
      break;
    }
  }
  if (!ended_) stream_.PauseBody(false);
}

/// False: nothing more can be done before more comes.
bool TestCall::TakeMessage() {
  std::string_view message;
  std::optional<Status> failure;
  switch (reader_.Next(message)) {
    case grpc::MessageReader::Step::kMessage: failure = service_.OnMessage(message, reader_.compressed()); break;
    case grpc::MessageReader::Step::kFailed: failure = reader_.failure(); break;
    case grpc::MessageReader::Step::kNeedMore:
      if (!request_over_) return false;
      if (reader_.Finish()) {
        failure = service_.OnEnd();
      } else {
        failure = Status{StatusCode::kInternal, "the request ended within a message"};
      }
      break;
  }
  if (failure.has_value()) End(*failure);
  return true;
}

bool TestCall::MaySend(const grpc::TestService::Reply& reply) {
  if (stream_.unsent() >= kUnsentMax) return false;
  if (reply.delay == Duration::zero() || due_) return true;
  if (!interval_.armed()) worker_.worker.Arm(interval_, reply.delay);
  return false;
}

void TestCall::Send(const grpc::TestService::Reply& reply) {
  const grpc::Coding coding = reply.compressed ? coding_ : grpc::Coding::kIdentity;
  due_ = false;
  std::string message;
  service_.Take(message);
  if (!head_sent_) SendHead(false);
  grpc::AppendMessage(stream_.body(), message, coding);
  stream_.BodyReady();
}

void TestCall::SendHead(bool end) {
  head_sent_ = true;
  head_->status = 200;
  head_->Add("content-type", kGrpcType, HeaderId::kContentType);
  head_->Add("grpc-accept-encoding", grpc::kAcceptedCodings);
  if (coding_ == grpc::Coding::kGzip) head_->Add("grpc-encoding", "gzip");
  stream_.SendHead(*head_, end);
}

void TestCall::End(const Status& status) {
  ended_ = true;
  deadline_.Cancel();
  interval_.Cancel();
  if (head_sent_) {
    grpc::AddStatus(*trailers_, status);
    return stream_.EndWith(*trailers_);
  }
  for (std::size_t i = 0; i < trailers_->size(); ++i) head_->Add(trailers_->field(i).name, trailers_->field(i).value);
  grpc::AddStatus(*head_, status);
  SendHead(true);
}

void TestCall::Leave() {
  ended_ = true;
  deadline_.Cancel();
  interval_.Cancel();
  worker_.worker.Bury(std::unique_ptr<rt::Mortal>(this));
}

}  // namespace penstock::proxy
