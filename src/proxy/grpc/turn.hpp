#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "penstock/grpc/status.hpp"
#include "penstock/llm/sse_decoder.hpp"
#include "penstock/server/request_handler.hpp"
#include "proxy/grpc/part.hpp"

namespace penstock::proxy {

class GrpcCall;
struct WorkerContext;

/// Owned by one Worker. One request message of a call and its answer. To the exchange it is the client's stream: what
/// the pipeline answers as HTTP (a JSON document, events, an error object) becomes gRPC messages and a status here. So
/// cache, coalescing, rescue and limits need not know of gRPC.
class GrpcTurn final : public server::ResponseStream {
 public:
  GrpcTurn(GrpcCall& call, WorkerContext& worker);

  void Begin(const grpc::Method* method);
  GrpcPart& part() noexcept { return part_; }
  /// The answer is complete: `handler` waits for OnFinished.
  bool over() const noexcept { return over_; }
  bool Failure(std::string_view text, std::string& out) { return translator_.Failure(text, out); }
  void Reset();

  server::Protocol protocol() const noexcept override { return server::Protocol::kGrpc; }
  const rt::Address& peer() const noexcept override;
  bool Covers(std::string_view host) override;
  void SendContinue() override {}
  void SendHead(const http::Head& head, bool end) override;
  Chain& body() noexcept override { return body_; }
  void BodyReady() override;
  void EndBody() override;
  void EndWith(const http::Head&) override { EndBody(); }
  void CutBody() override;
  void Drop() override;
  void PauseBody(bool) override {}
  void ExpectNoEnd() override {}
  std::size_t unsent() const noexcept override;
  void CloseAfter() override {}

  server::RequestHandler* handler = nullptr;  ///< the exchange; null when it was told the end

 private:
  /// What the exchange answers.
  enum class Mode : std::uint8_t { kNone, kWhole, kEvents, kMessages, kRefusal };

  void TakeEvents();
  void TakeEvent(const llm::SseEvent& event);
  void End(bool cut);
  grpc::Status EndStatus(bool cut);
  grpc::Status Refused(const std::optional<grpc::ErrorObject>& error) const;

  GrpcCall& call_;
  WorkerContext& worker_;
  GrpcPart part_;
  grpc::AnswerTranslator translator_;
  Chain body_;
  llm::SseDecoder events_;
  std::optional<grpc::ErrorObject> error_;  ///< that came as an event
  Mode mode_ = Mode::kNone;
  std::uint16_t status_ = 0;
  Duration retry_after_{};
  bool over_ = false;
};

}  // namespace penstock::proxy
