#pragma once

#include "penstock/http/h2_codec.hpp"
#include "server/connection.hpp"
#include "server/reader_watch.hpp"
#include "server/session.hpp"

namespace penstock::server {

class H2Session;

/// Owned by one Worker. One HTTP/2 stream as its request's handler sees it. Allocated from the worker's frame lists.
class H2Stream final : public ResponseStream, public http::H2StreamHandler {
 public:
  H2Stream(H2Session& session, std::int32_t id);

  static void* operator new(std::size_t size);
  static void operator delete(void* memory, std::size_t size) noexcept;

  Protocol protocol() const noexcept override { return Protocol::kHttp2; }
  const rt::Address& peer() const noexcept override;
  bool Covers(std::string_view host) override;
  void SendContinue() override;
  void SendHead(const http::Head& head, bool end) override;
  Chain& body() noexcept override { return body_; }
  void BodyReady() override;
  void EndBody() override;
  void EndWith(const http::Head& trailers) override;
  void CutBody() override;
  void Drop() override;
  std::size_t unsent() const noexcept override { return body_.size(); }
  void CloseAfter() override {}  // a stream is not the connection
  void PauseBody(bool paused) override;
  void ExpectNoEnd() override { endless_ = true; }

 private:
  friend class H2Session;
  enum class Answer : std::uint8_t { kNone, kHeadSent, kEnding, kCutting, kEnded };

  void OnResponse(http::HeadPtr head, bool end) override;
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnClosed(http::H2Error code, http::H2Fate fate) override;
  http::BodyPiece PullBody(char* to, std::size_t capacity) override;

  H2Session& session_;
  RequestHandler* handler_ = nullptr;
  Chain body_;
  std::int32_t id_;
  Answer answer_ = Answer::kNone;
  bool request_complete_ = false;
  bool head_request_ = false;  ///< the answer has no body, whatever is written
  bool failed_ = false;        ///< the handler knows already that the rest of the request will not come
  bool body_paused_ = false;
  bool endless_ = false;    ///< the request's body has no clock
  std::uint32_t owed_ = 0;  ///< received while paused, not credited; at most a window
  http::HeadPtr trailers_;  ///< while kEnding: wait for the body to leave; null: none
  Departure departure_ = Departure::kClosed;
  ReaderWatch reader_;
  std::uint64_t received_ = 0;  ///< of the question, until its window has grown
  bool window_grown_ = false;
  std::uint64_t window_bytes_ = 0;  ///< received or sent since the last look
  TimePoint body_deadline_{};
  TimePoint looked_at_{};
  TimePoint paused_since_{};
  H2Stream* next_ = nullptr;
  H2Stream** link_ = nullptr;
};

/// Owned by one Worker. HTTP/2 on one connection.
class H2Session final : public Session, private http::H2ConnectionHandler {
 public:
  explicit H2Session(Connection& connection);
  ~H2Session() override;

  void OnData(std::string_view bytes) override;
  void OnFin() override;
  void OnLost() override;
  void OnTimer() override;
  void Flush() override;
  void Drain() override;
  bool idle() const noexcept override { return first_ == nullptr && connection_.transport().out().empty(); }

 private:
  friend class H2Stream;
  enum class Phase : std::uint8_t { kOpen, kGoingAway, kDead, kClosed };

  http::H2StreamHandler* OnRequest(std::int32_t stream, http::HeadPtr head, bool end) override;
  http::H2StreamHandler* OnReject(std::int32_t stream, http::HeadPtr head, bool end, const Error& error,
                                  const char* reason) override;
  void OnGoaway(http::H2Error) override {}
  void OnSettings() override;
  void OnPingAck() override {}

  H2Stream* Open(std::int32_t id);
  void Remove(H2Stream& stream);
  void CloseStreams(Departure departure);
  void Look(H2Stream& stream, TimePoint now);
  void StartTicking();
  void WatchReader();
  bool ReaderTooSlow(TimePoint now);
  void Die();

  Connection& connection_;
  http::H2Codec codec_;
  H2Stream* first_ = nullptr;
  Phase phase_ = Phase::kOpen;
  bool ticking_ = false;
  bool greeted_ = false;          ///< the client's preface came, to the end of its SETTINGS
  bool drain_owed_ = false;       ///< from the first request on
  TimePoint drain_step_{};        ///< when the second GOAWAY is due
  bool watching_reader_ = false;  ///< the kernel's buffer is full
  ReaderWatch reader_;            ///< of the connection
  TimePoint reader_since_{};
  std::uint64_t reader_had_ = 0;  ///< of the transport's sent()
};

}  // namespace penstock::server
