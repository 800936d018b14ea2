#pragma once

#include "penstock/http/h1_server_codec.hpp"
#include "server/connection.hpp"
#include "server/reader_watch.hpp"
#include "server/session.hpp"

namespace penstock::server {

/// Owned by one Worker. HTTP/1.1 on one connection: one exchange at a time, pipelined requests wait as bytes (at most
/// kPipelinedBytes, then reading stops), answers leave in order by construction.
class H1Session final : public Session, public ResponseStream, private http::H1ServerHandler {
 public:
  explicit H1Session(Connection& connection);
  ~H1Session() override = default;

  void OnData(std::string_view bytes) override;
  void OnFin() override;
  void OnLost() override;
  void OnTimer() override;
  void Flush() override;
  void Drain() override;
  bool idle() const noexcept override { return phase_ == Phase::kWaiting && pending_.empty(); }

  Protocol protocol() const noexcept override { return Protocol::kHttp1; }
  const rt::Address& peer() const noexcept override { return connection_.transport().peer(); }
  bool Covers(std::string_view host) override { return connection_.transport().Covers(host); }
  void SendContinue() override;
  void SendHead(const http::Head& head, bool end) override;
  Chain& body() noexcept override { return body_; }
  void BodyReady() override { connection_.FlushLater(); }
  void EndBody() override;
  void EndWith(const http::Head&) override { EndBody(); }
  void CutBody() override;
  void Drop() override;
  std::size_t unsent() const noexcept override { return body_.size() + connection_.transport().out().size(); }
  void CloseAfter() override { close_after_ = true; }
  void PauseBody(bool paused) override;
  void ExpectNoEnd() override { endless_ = true; }

 private:
  enum class Phase : std::uint8_t {
    kWaiting,   ///< between messages
    kHead,      ///< part of a head has come
    kExchange,  ///< a handler works on the request
    kLinger,    ///< the answer is out, the rest of what the client sends is thrown away
    kClosed,
  };
  enum class Answer : std::uint8_t { kNone, kHeadSent, kEnded, kCut, kTailWritten };

  void OnRequest(http::HeadPtr head, bool expect_continue) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnReject(http::HeadPtr head, const Error& error, const char* reason) override;

  void Parse(std::string_view bytes);
  void ParsePending();
  void WriteBody();
  void Finish();
  void Linger();
  void Gone(Departure departure);
  void BodyTimer();
  void ReaderTimer();
  void WatchReader();
  std::uint64_t Progress() noexcept;

  Connection& connection_;
  http::H1ServerCodec codec_;
  RequestHandler* handler_ = nullptr;
  Chain pending_;  ///< bytes behind the current message
  Chain body_;
  Phase phase_ = Phase::kWaiting;
  Answer answer_ = Answer::kNone;
  http::Framing framing_ = http::Framing::kNone;
  http::Version version_ = http::Version::kHttp11;
  bool head_request_ = false;
  bool request_complete_ = false;
  bool close_after_ = false;
  bool read_paused_ = false;
  bool body_paused_ = false;  ///< only before the request is complete
  bool endless_ = false;      ///< the request's body has no clock
  bool watching_reader_ = false;
  std::uint32_t requests_ = 0;
  std::uint64_t sent_seen_ = 0;     ///< of the transport's sent()
  std::uint64_t window_bytes_ = 0;  ///< body bytes received, or answer bytes sent, in the current timer window
  ReaderWatch reader_;
  TimePoint body_deadline_{};
  TimePoint paused_since_{};
  std::size_t lingered_ = 0;
};

}  // namespace penstock::server
