#include <algorithm>
#include <utility>

#include "penstock/base/assert.hpp"
#include "penstock/http/h1_server_codec.hpp"
#include "sim/wire_connection.hpp"

namespace penstock::sim {
namespace {

/// Owned by one Worker. HTTP/1.1 on a wire connection: requests are parsed strictly, answers are framed here, where
/// they may be broken.
class WireH1 final : public WireSession, public server::ResponseStream, public Wire, private http::H1ServerHandler {
 public:
  explicit WireH1(WireConnection& connection)
      : connection_(connection),
        codec_(connection.ports().heads(), connection.ports().options().h1),
        body_(connection.ports().worker().chunks()),
        raw_(connection.ports().worker().chunks()) {}

  // WireSession
  void OnData(std::string_view bytes) override;
  void OnLost() override;
  void Flush() override;

  // server::ResponseStream
  server::Protocol protocol() const noexcept override { return server::Protocol::kHttp1; }
  const rt::Address& peer() const noexcept override { return connection_.transport().peer(); }
  bool Covers(std::string_view) override { return true; }
  void SendContinue() override {
    raw_.Append("HTTP/1.1 100 Continue\r\n\r\n");
    connection_.FlushLater();
  }
  void SendHead(const http::Head& head, bool end) override;
  Chain& body() noexcept override { return body_; }
  void BodyReady() override { connection_.FlushLater(); }
  void EndBody() override {
    tail_due_ = framing_ == http::Framing::kChunked;
    EndBy(Ending::kWhole);
  }
  void EndWith(const http::Head&) override { EndBody(); }
  void CutBody() override { EndBy(Ending::kClose); }
  void Drop() override { CutBody(); }
  std::size_t unsent() const noexcept override { return body_.size() + connection_.transport().out().size(); }
  void CloseAfter() override { close_after_ = true; }
  void PauseBody(bool) override {}  // requests are small
  void ExpectNoEnd() override {}    // and have no clock

  // Wire
  bool http2() const noexcept override { return false; }
  std::int32_t stream_id() const noexcept override { return 0; }
  void Raw(std::string_view bytes) override {
    raw_.Append(bytes);
    connection_.FlushLater();
  }
  void Reset(std::uint32_t) override { EndBy(Ending::kAbort); }
  void CloseConnection() override { EndBy(Ending::kClose); }
  void AbortConnection() override { EndBy(Ending::kAbort); }
  void Done() override { EndBy(Ending::kWhole); }

 private:
  /// How the answer ends once what it holds is written. A later, worse one replaces an earlier.
  enum class Ending : std::uint8_t { kNone, kWhole, kClose, kAbort };

  void OnRequest(http::HeadPtr head, bool expect_continue) override {
    Begin(std::move(head), expect_continue, nullptr);
  }
  void OnBody(std::string_view bytes) override {
    if (handler_ != nullptr) handler_->OnBody(bytes);
  }
  void OnEnd() override {
    if (handler_ != nullptr && body_follows_) handler_->OnEnd();
  }
  void OnReject(http::HeadPtr head, const Error& error, const char*) override {
    close_after_ = true;
    if (handler_ != nullptr) {
      handler_->OnRequestFailed(error);
    } else {
      Begin(std::move(head), false, &error);
    }
  }

  void Begin(http::HeadPtr head, bool expect_continue, const Error* reject);
  void Parse(std::string_view bytes);
  void EndBy(Ending ending) {
    ending_ = std::max(ending_, ending);
    connection_.FlushLater();
  }
  void WriteBody();
  void Finish();

  WireConnection& connection_;
  http::H1ServerCodec codec_;
  server::RequestHandler* handler_ = nullptr;
  Chain body_;
  Chain raw_;
  std::string
      pending_;  ///< bytes of a request that came before its turn; the gateway never pipelines, so it stays small
  http::Framing framing_ = http::Framing::kNone;
  Ending ending_ = Ending::kNone;
  std::uint64_t sent_seen_ = 0;  ///< of the transport's sent()
  bool head_sent_ = false;
  bool tail_due_ = false;  ///< the last chunk is to be written
  bool body_follows_ = false;
  bool close_after_ = false;
  bool lost_ = false;
};

void WireH1::OnData(std::string_view bytes) {
  if (codec_.state() == http::H1ServerCodec::State::kComplete || !pending_.empty()) {
    pending_.append(bytes);
  } else {
    Parse(bytes);
  }
}

void WireH1::Parse(std::string_view bytes) {
  const std::size_t taken = codec_.Feed(bytes, *this);
  if (codec_.state() != http::H1ServerCodec::State::kRejected) pending_.append(bytes.substr(taken));
}

void WireH1::Begin(http::HeadPtr head, bool expect_continue, const Error* reject) {
  body_follows_ = reject == nullptr && head->framing != http::Framing::kNone;
  handler_ =
      &connection_.ports().sink().OnWireRequest(*this, *this, std::move(head), body_follows_, expect_continue, reject);
}

void WireH1::SendHead(const http::Head& head, bool end) {
  PENSTOCK_ASSERT(!head_sent_);
  head_sent_ = true;
  framing_ = head.content_length || end ? http::Framing::kLength : http::Framing::kChunked;
  http::WriteH1ResponseHead(raw_, head, framing_, http::Version::kHttp11, !close_after_);
  if (end) EndBy(Ending::kWhole);
  connection_.FlushLater();
}

void WireH1::WriteBody() {
  Chain& out = connection_.transport().out();
  // A head or an interim answer was appended to raw_ before any body; scripts have no body.
  out.Append(std::move(raw_));
  if (!body_.empty()) {
    if (framing_ == http::Framing::kChunked) http::WriteChunkBegin(out, body_.size());
    out.Append(std::move(body_));
    if (framing_ == http::Framing::kChunked) http::WriteChunkEnd(out);
  }
  if (std::exchange(tail_due_, false)) http::WriteLastChunk(out);
}

void WireH1::Flush() {
  if (lost_) return;
  net::Transport& transport = connection_.transport();
  if (!transport.stuck()) WriteBody();
  transport.Flush();
  const std::uint64_t sent = transport.sent();
  const bool progress = std::exchange(sent_seen_, sent) != sent;
  if (unsent() == 0 && ending_ != Ending::kNone) {
    Finish();
  } else if (progress && handler_ != nullptr) {
    handler_->OnSent();
  }
}

void WireH1::Finish() {
  const Ending ending = std::exchange(ending_, Ending::kNone);
  server::RequestHandler* handler = std::exchange(handler_, nullptr);
  const bool keep = ending == Ending::kWhole && !close_after_ &&
                    codec_.state() == http::H1ServerCodec::State::kComplete && codec_.keep_alive();
  if (!keep) {
    lost_ = true;
    if (ending == Ending::kAbort) {
      connection_.Abort();
    } else {
      connection_.Close();
    }
  }
  head_sent_ = false;
  if (handler != nullptr) handler->OnFinished();
  if (!keep) return;
  codec_.NextMessage();
  const std::string waiting = std::exchange(pending_, {});
  if (!waiting.empty()) Parse(waiting);
}

void WireH1::OnLost() {
  lost_ = true;
  body_.Clear();
  raw_.Clear();
  if (handler_ != nullptr) std::exchange(handler_, nullptr)->OnGone(server::Departure::kClosed);
}

}  // namespace

std::unique_ptr<WireSession> MakeWireH1(WireConnection& connection) { return std::make_unique<WireH1>(connection); }

}  // namespace penstock::sim
