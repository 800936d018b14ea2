#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "penstock/base/assert.hpp"
#include "penstock/http/h2_codec.hpp"
#include "sim/settings_ack_filter.hpp"
#include "sim/wire_connection.hpp"

namespace penstock::sim {
namespace {

constexpr std::size_t kPullBytes = 64 * 1024;

class WireH2;

/// Owned by one Worker. One stream of a wire connection.
class WireStream final : public server::ResponseStream, public Wire, public http::H2StreamHandler {
 public:
  WireStream(WireH2& session, std::int32_t id);

  server::Protocol protocol() const noexcept override { return server::Protocol::kHttp2; }
  const rt::Address& peer() const noexcept override;
  bool Covers(std::string_view) override { return true; }
  void SendContinue() override {}
  void SendHead(const http::Head& head, bool end) override;
  Chain& body() noexcept override { return body_; }
  void BodyReady() override;
  void EndBody() override;
  void EndWith(const http::Head&) override { EndBody(); }  // nothing that is played has trailers
  void CutBody() override;
  void Drop() override { CutBody(); }
  std::size_t unsent() const noexcept override { return body_.size(); }
  void CloseAfter() override {}
  void PauseBody(bool) override {}  // requests are small
  void ExpectNoEnd() override {}    // and have no clock

  bool http2() const noexcept override { return true; }
  std::int32_t stream_id() const noexcept override { return id_; }
  void Raw(std::string_view bytes) override;
  void Reset(std::uint32_t code) override;
  void CloseConnection() override;
  void AbortConnection() override;
  void Done() override { Reset(0); }

  void OnResponse(http::HeadPtr, bool) override { PENSTOCK_UNREACHABLE("a server's stream gets no response"); }
  void OnBody(std::string_view bytes) override;
  void OnEnd() override;
  void OnClosed(http::H2Error code, http::H2Fate fate) override;
  http::BodyPiece PullBody(char* to, std::size_t capacity) override;

 private:
  friend class WireH2;
  enum class Answer : std::uint8_t { kOpen, kEnding, kCutting, kOver };

  WireH2& session_;
  server::RequestHandler* handler_ = nullptr;
  Chain body_;
  std::int32_t id_;
  Answer answer_ = Answer::kOpen;
};

/// Owned by one Worker. HTTP/2 on a wire connection: the codec does what is proper, raw frames go between its frames.
class WireH2 final : public WireSession, private http::H2ConnectionHandler {
 public:
  explicit WireH2(WireConnection& connection)
      : connection_(connection),
        raw_(connection.ports().worker().chunks()),
        codec_(http::H2Codec::Side::kServer, connection.ports().h2_memory(), connection.ports().heads(),
               connection.ports().options().h2, *this) {
    connection_.FlushLater();
  }

  void OnData(std::string_view bytes) override;
  void OnLost() override;
  void Flush() override;

 private:
  friend class WireStream;
  enum class Ending : std::uint8_t { kNone, kClose, kAbort };

  http::H2StreamHandler* OnRequest(std::int32_t stream, http::HeadPtr head, bool end) override;
  http::H2StreamHandler* OnReject(std::int32_t stream, http::HeadPtr head, bool end, const Error& error,
                                  const char* reason) override;
  void OnGoaway(http::H2Error) override {}
  void OnSettings() override {}
  void OnPingAck() override {}

  WireStream& Open(std::int32_t id);
  void EndBy(Ending ending) {
    ending_ = std::max(ending_, ending);
    connection_.FlushLater();
  }
  void Finish();

  WireConnection& connection_;
  SettingsAckFilter acks_;
  Chain raw_;
  std::vector<std::pair<std::int32_t, std::uint32_t>> resets_;  ///< stream and code, due at the end of the turn
  std::unordered_map<std::int32_t, std::unique_ptr<WireStream>> streams_;
  http::H2Codec codec_;
  Ending ending_ = Ending::kNone;
  bool dead_ = false;
  bool lost_ = false;
};

// --- WireStream ---

WireStream::WireStream(WireH2& session, std::int32_t id)
    : session_(session), body_(session.connection_.ports().worker().chunks()), id_(id) {}

const rt::Address& WireStream::peer() const noexcept { return session_.connection_.transport().peer(); }

void WireStream::SendHead(const http::Head& head, bool end) {
  session_.codec_.SubmitResponse(id_, head, end);
  if (end) answer_ = Answer::kOver;
  session_.connection_.FlushLater();
}

void WireStream::BodyReady() {
  session_.codec_.ResumeBody(id_);
  session_.connection_.FlushLater();
}

void WireStream::EndBody() {
  answer_ = Answer::kEnding;
  BodyReady();
}

void WireStream::CutBody() {
  answer_ = Answer::kCutting;
  BodyReady();
}

void WireStream::Raw(std::string_view bytes) {
  session_.raw_.Append(bytes);
  session_.connection_.FlushLater();
}

void WireStream::Reset(std::uint32_t code) {
  answer_ = Answer::kOver;
  session_.resets_.emplace_back(id_, code);
  session_.connection_.FlushLater();
}

void WireStream::CloseConnection() {
  answer_ = Answer::kOver;
  session_.EndBy(WireH2::Ending::kClose);
}
void WireStream::AbortConnection() {
  answer_ = Answer::kOver;
  session_.EndBy(WireH2::Ending::kAbort);
}

void WireStream::OnBody(std::string_view bytes) {
  session_.codec_.Consumed(id_, bytes.size());
  if (handler_ != nullptr) handler_->OnBody(bytes);
}

void WireStream::OnEnd() {
  if (handler_ != nullptr) handler_->OnEnd();
}

http::BodyPiece WireStream::PullBody(char* to, std::size_t capacity) {
  const std::size_t n = body_.Read(to, capacity);
  if (!body_.empty() || answer_ == Answer::kOpen || answer_ == Answer::kOver) {
    if (n != 0 && handler_ != nullptr) handler_->OnSent();
    return {n, http::BodyState::kMore};
  }
  return {n,
          std::exchange(answer_, Answer::kOver) == Answer::kCutting ? http::BodyState::kAbort : http::BodyState::kEnd};
}

void WireStream::OnClosed(http::H2Error, http::H2Fate) {
  server::RequestHandler* handler = std::exchange(handler_, nullptr);
  const bool finished = answer_ == Answer::kOver;
  const std::unique_ptr<WireStream> self = std::move(session_.streams_[id_]);
  session_.streams_.erase(id_);
  if (handler == nullptr) return;
  if (finished) {
    handler->OnFinished();
  } else {
    handler->OnGone(server::Departure::kClosed);
  }
}

// --- WireH2 ---

WireStream& WireH2::Open(std::int32_t id) {
  std::unique_ptr<WireStream>& stream = streams_[id];
  stream = std::make_unique<WireStream>(*this, id);
  return *stream;
}

http::H2StreamHandler* WireH2::OnRequest(std::int32_t id, http::HeadPtr head, bool end) {
  WireStream& stream = Open(id);
  stream.handler_ = &connection_.ports().sink().OnWireRequest(stream, stream, std::move(head), !end, false, nullptr);
  return &stream;
}

http::H2StreamHandler* WireH2::OnReject(std::int32_t id, http::HeadPtr head, bool, const Error& error, const char*) {
  WireStream& stream = Open(id);
  stream.handler_ = &connection_.ports().sink().OnWireRequest(stream, stream, std::move(head), false, false, &error);
  return &stream;
}

void WireH2::OnData(std::string_view bytes) {
  if (dead_ || lost_) return;
  acks_.Feed(bytes, [this](std::string_view piece) {
    if (!dead_) dead_ = !codec_.Feed(piece, connection_.ports().worker().Now());
  });
  connection_.FlushLater();
}

void WireH2::Flush() {
  if (lost_) return;
  net::Transport& transport = connection_.transport();
  while (!transport.stuck()) {
    dead_ = !codec_.Pull(transport.out(), kPullBytes) || dead_;
    transport.out().Append(std::move(raw_));
    const bool resetting = !resets_.empty();
    for (const auto& [stream, code] : std::exchange(resets_, {}))
      codec_.Reset(stream, static_cast<http::H2Error>(code));
    if (transport.out().empty() && !resetting) break;
    transport.Flush();
    if (lost_) return;
  }
  if (transport.out().empty() && raw_.empty() && (dead_ || ending_ != Ending::kNone)) Finish();
}

void WireH2::Finish() {
  // What ends the connection was asked for by an answer: that one is finished, the others are gone.
  if (ending_ == Ending::kAbort) {
    connection_.Abort();
  } else {
    connection_.Close();
  }
  OnLost();
}

void WireH2::OnLost() {
  lost_ = true;
  raw_.Clear();
  codec_.ConnectionLost();
}

}  // namespace

std::unique_ptr<WireSession> MakeWireH2(WireConnection& connection) { return std::make_unique<WireH2>(connection); }

}  // namespace penstock::sim
