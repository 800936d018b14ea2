#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "penstock/grpc/message.hpp"
#include "penstock/rt/worker.hpp"
#include "proxy/grpc/turn.hpp"

namespace penstock::proxy {

class Gateway;

/// Owned by one Worker. One gRPC call: a stream of an HTTP/2 session. Cuts the request into messages, gives each to an
/// exchange of its own as a turn, and sends what the turns answer; the last thing it sends is the status. Recycled.
///
/// A method whose client sends one message has one turn, which begins with the head, so that a bad key or an unknown
/// method is refused before the message came. Where the client streams, each message is a turn (the first one begins
/// with the head too); kTurnsMax run at once, beyond that the client waits. Answers go out as they come: a client tells
/// them apart by their ids.
///
/// The bytes of a message that is still coming count as those of its exchange's body do: that exchange is there from
/// the first of them on, looks at the load with each piece, and is ended for want of memory. With it ends the call.
class GrpcCall final : public rt::Mortal, public server::RequestHandler, private rt::Flushable {
 public:
  static constexpr std::size_t kTurnsMax = 16;  ///< at once, of a client that streams requests

  GrpcCall(Gateway& gateway, WorkerContext& worker);
  ~GrpcCall() override;

  void Begin(server::ResponseStream& stream, http::HeadPtr head, bool body_follows, const Error* reject);

  server::ResponseStream& stream() noexcept { return *stream_; }
  /// The fields of a turn's HTTP answer that a client may see; the first turn's go into the call's head.
  void TakeFields(const http::Head& head);
  void Send(std::string_view message);
  /// Messages with their prefixes.
  void SendRaw(Chain&& messages);
  void OnTurnOver(GrpcTurn& turn, grpc::Status status);

 private:
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnRequestFailed(const Error& error) override;
  void OnSent() override;
  void OnFinished() override;
  void OnGone(server::Departure departure) override;
  void Flush() override;

  std::optional<grpc::Status> ReadHead(const http::Head& head);
  bool streams() const noexcept { return method_ != nullptr && method_->client_streams; }
  void TakeMessages();
  void Gather();
  GrpcTurn* Coming();
  GrpcTurn& OpenTurn(bool ahead);
  void RunTurn(std::string_view message);
  void FailRequest(grpc::Status status, const Error& error);
  void FailTornRequest();
  void OnDeadline();
  void OnSlowMessage();
  void Reap();
  void EndIfDone();
  void End(const grpc::Status& status);
  http::HeadPtr TakeHead();
  /// The answer's, behind its head.
  Chain& Body();
  void Recycle();

  Gateway& gateway_;
  WorkerContext& worker_;
  server::ResponseStream* stream_ = nullptr;
  const grpc::Method* method_ = nullptr;
  http::HeadPtr request_head_;  ///< where each message is a turn: what its exchange gets a copy of
  http::HeadPtr head_;          ///< ours, until it is sent
  grpc::MessageReader reader_;
  grpc::Coding coding_ = grpc::Coding::kIdentity;  ///< of the answer
  std::optional<TimePoint> deadline_;
  rt::Timer deadline_timer_;
  rt::Timer message_timer_;                       ///< of a client that streams: a message that has begun
  rt::Timer again_timer_;                         ///< messages are waiting that came in one piece
  GrpcTurn turn_;                                 ///< of a client that sends one message
  std::vector<std::unique_ptr<GrpcTurn>> turns_;  ///< of one that streams
  GrpcTurn* open_ = nullptr;                      ///< of those, the one whose message is to come
  TimePoint flushed_{};
  std::size_t opened_ = 0;    ///< turns of a client that streams
  std::size_t messages_ = 0;  ///< of the request, so far
  bool head_sent_ = false;
  bool request_over_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool coding_refused_ = false;  ///< the client hears which ones it may use
};

}  // namespace penstock::proxy
