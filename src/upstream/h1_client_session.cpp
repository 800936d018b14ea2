#include "upstream/h1_client_session.hpp"

#include "penstock/base/assert.hpp"

namespace penstock::upstream {
namespace {

constexpr std::size_t kAheadBytes = 64 * 1024;  // request body copied ahead of the socket
const http::H1ResponseLimits kLimits{};

}  // namespace

H1ClientSession::H1ClientSession(Connection& connection, http::HeadPool& heads)
    : connection_(connection), codec_(heads, kLimits) {}

void H1ClientSession::Start(Stream& stream) {
  PENSTOCK_ASSERT(stream_ == nullptr);
  connection_.CancelTimer();
  stream_ = &stream;
  stream.session_ = this;
  stream.begun_ = true;
  free_ = false;
  touched_ = false;
  ended_ = false;
  sent_ = false;
  chunked_ = false;
  codec_.Expect(stream.request_.head->method);
  http::WriteH1RequestHead(connection_.transport().out(), *stream.request_.head);
  body_written_ = WriteBody();
  if (stream.paused_) SetPaused(stream, true);
  connection_.FlushLater();
}

/// Fills the transport's chain from the request's body, up to a bound; true when all of it is there.
bool H1ClientSession::WriteBody() {
  Chain& out = connection_.transport().out();
  while (out.size() < kAheadBytes) {
    const std::span<char> room = out.Reserve();
    std::size_t size = 0;
    const bool last = stream_->TakeBody(room.data(), room.size(), size);
    out.Commit(size);
    if (last) return true;
  }
  return false;
}

void H1ClientSession::Flush() {
  net::Transport& transport = connection_.transport();
  touched_ = true;
  while (true) {
    if (!body_written_ && stream_ != nullptr) body_written_ = WriteBody();
    transport.Flush();
    if (transport.stuck() || !transport.open() || body_written_) break;
  }
  if (body_written_ && !sent_ && transport.out().empty()) {
    sent_ = true;
    if (stream_ != nullptr) stream_->handler_->OnRequestSent();
  }
}

void H1ClientSession::Cancel(Stream& stream) {
  PENSTOCK_ASSERT(stream_ == &stream);
  stream_ = nullptr;
  closing_ = true;
  connection_.Close();
}

void H1ClientSession::SetPaused(Stream&, bool paused) {
  if (paused == paused_) return;
  paused_ = paused;
  if (paused) {
    connection_.transport().PauseRead();
  } else {
    connection_.transport().ResumeRead();
  }
}

void H1ClientSession::Retire() {
  closing_ = true;
  if (stream_ == nullptr) connection_.Close();
}

void H1ClientSession::OnData(std::string_view bytes) {
  if (connection_.left()) return;
  if (stream_ != nullptr && !touched_) {
    // Sent while the connection was idle, read after it was chosen: no answer to this request (FAULTS H1-37).
    Fail(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kIfUnprocessed, "the upstream spoke before it was asked"));
    return;
  }
  const std::size_t taken = codec_.Feed(bytes, *this);
  if (connection_.left()) return;
  if (taken < bytes.size()) {
    // Bytes nobody asked for: whatever they are, the next answer must not be read from here (FAULTS H1-37).
    closing_ = true;
  }
  if (ended_) Release();
  if (closing_ && !connection_.left() && stream_ == nullptr) connection_.Close();
}

void H1ClientSession::OnResponse(http::HeadPtr head) {
  chunked_ = head->framing == http::Framing::kChunked;
  if (stream_ != nullptr) stream_->handler_->OnHead(std::move(head));
}

void H1ClientSession::OnBody(std::string_view bytes) {
  if (stream_ != nullptr) stream_->handler_->OnBody(bytes);
}

void H1ClientSession::OnEnd() {
  ended_ = true;
  // The rest of the request is the stream's, which is gone now (FAULTS U-32).
  if (!sent_) closing_ = true;
  if (stream_ == nullptr) return;
  Stream* stream = std::exchange(stream_, nullptr);
  stream->Detach();
  stream->handler_->OnEnd();
}

void H1ClientSession::OnError(const Error& error, const char*) { Fail(error); }

/// The exchange is over: the connection waits for the next one, if it may carry one.
void H1ClientSession::Release() {
  if (connection_.left()) return;
  const bool keep = !closing_ && codec_.reusable() && (!chunked_ || connection_.options().reuse_after_chunked);
  ended_ = false;
  used_ = true;
  if (!keep) {
    closing_ = true;
    connection_.Close();
    return;
  }
  free_ = true;
  if (paused_) {
    paused_ = false;
    connection_.transport().ResumeRead();
  }
  OnIdle();
  connection_.pool().Ready(connection_);
}

void H1ClientSession::OnIdle() { connection_.ArmTimer(connection_.options().idle_timeout); }

void H1ClientSession::OnFin() {
  if (stream_ == nullptr) {
    closing_ = true;
    connection_.Close();
    return;
  }
  codec_.OnEof(*this);
  if (ended_) closing_ = true;
  if (!connection_.left()) connection_.Close();
}

void H1ClientSession::OnLost(const Error& error) {
  closing_ = true;
  Fail(error);
}

void H1ClientSession::Fail(const Error& error) {
  closing_ = true;
  if (stream_ == nullptr) return;
  Stream* stream = std::exchange(stream_, nullptr);
  const bool lost = error.code == ErrorCode::kUpstreamReset ||
                    error.code == ErrorCode::kUpstreamTls;  // TLS: FIN without close_notify
  const bool stale = used_ && (!touched_ || (lost && !codec_.any_byte_seen()));
  ConnectionPool& pool = connection_.pool();
  if (!connection_.left()) connection_.Close();
  if (stale && !stream->replaced_) {
    pool.Replace(*stream);
    return;
  }
  stream->Detach();
  stream->handler_->OnFailed(error);
}

void H1ClientSession::OnTimer() {
  if (!free_) return;
  closing_ = true;
  connection_.Close();
}

}  // namespace penstock::upstream
