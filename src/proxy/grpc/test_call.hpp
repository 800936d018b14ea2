#pragma once

#include <optional>

#include "penstock/grpc/message.hpp"
#include "penstock/grpc/test_service.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/request_handler.hpp"

namespace penstock::proxy {

struct WorkerContext;

/// Owned by one Worker. A call of grpc.testing's services, where the gateway was started for them. It goes through what
/// carries every gRPC call (framing, metadata, compression, trailers) and through nothing else: no key, no limit, no
/// access line. Answers that the client does not take, or that are not due yet, hold up its further requests. Buries
/// itself.
class TestCall final : public rt::Mortal, public server::RequestHandler {
 public:
  static constexpr std::size_t kUnsentMax = 64 * 1024;  ///< beyond it, no further answer is made

  TestCall(WorkerContext& worker, server::ResponseStream& stream);
  ~TestCall() override;

  /// Its owner from here on is itself.
  void Begin(const http::Head& head, bool body_follows);

 private:
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnRequestFailed(const Error& error) override;
  void OnSent() override { Pump(); }
  void OnFinished() override { Leave(); }
  void OnGone(server::Departure) override { Leave(); }

  std::optional<grpc::Status> ReadHead(const http::Head& head);
  void Pump();
  bool MaySend(const grpc::TestService::Reply& reply);
  void Send(const grpc::TestService::Reply& reply);
  bool TakeMessage();
  void SendHead(bool end);
  void OnDeadline();
  void OnInterval();
  void End(const grpc::Status& status);
  void Leave();

  WorkerContext& worker_;
  server::ResponseStream& stream_;
  grpc::TestService service_;
  grpc::MessageReader reader_;
  grpc::Coding coding_ = grpc::Coding::kIdentity;  ///< of the answers that ask for it
  http::HeadPtr head_;                             ///< until it is sent
  http::HeadPtr trailers_;
  rt::Timer deadline_;
  rt::Timer interval_;
  bool due_ = false;  ///< the next answer has waited for its time
  bool head_sent_ = false;
  bool request_over_ = false;
  bool ended_ = false;
};

}  // namespace penstock::proxy
