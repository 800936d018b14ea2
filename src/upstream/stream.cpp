#include "penstock/upstream/stream.hpp"

#include <algorithm>
#include <cstring>

#include "penstock/upstream/connection_pool.hpp"
#include "upstream/client_session.hpp"
#include "upstream/h2_client_session.hpp"

namespace penstock::upstream {

void Stream::Cancel() {
  if (pool_ == nullptr) return;
  if (session_ != nullptr) {
    session_->Cancel(*this);
    Detach();
    return;
  }
  ConnectionPool& pool = *pool_;
  pool.Unlink(*this);
  Detach();
  pool.CancelSurplusConnects();
}

void Stream::SetPaused(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  if (session_ != nullptr) session_->SetPaused(*this, paused);
}

void Stream::GrowWindow(std::size_t bytes) {
  if (session_ == nullptr || bytes <= window_ || window_ == 0) return;
  window_ = static_cast<std::uint32_t>(bytes);
  static_cast<H2ClientSession*>(session_)->GrowWindow(*this);
}

void Stream::Detach() noexcept {
  pool_ = nullptr;
  session_ = nullptr;
}

void Stream::Rewind() noexcept {
  part_ = 0;
  offset_ = 0;
  id_ = 0;
  window_ = 0;
  uncredited_ = 0;
  begun_ = false;
  ended_ = false;
}

bool Stream::TakeBody(char* to, std::size_t capacity, std::size_t& size) noexcept {
  size = 0;
  while (part_ < request_.body.size()) {
    const std::string_view part = request_.body[part_].substr(offset_);
    const std::size_t n = std::min(part.size(), capacity - size);
    std::memcpy(to + size, part.data(), n);
    size += n;
    offset_ += n;
    if (n < part.size()) return false;
    ++part_;
    offset_ = 0;
  }
  return true;
}

// --- on an HTTP/2 connection ---

void Stream::OnResponse(http::HeadPtr head, bool end) {
  if (!end) {
    handler_->OnHead(std::move(head));
    return;
  }
  ended_ = true;
  const bool whole = part_ == request_.body.size();
  const bool runs = static_cast<H2ClientSession*>(session_)->Deliver(*this, [&] { handler_->OnHead(std::move(head)); });
  // A whole request is closed by the codec next.
  if (runs && !whole) OnEnd();
}

void Stream::OnBody(std::string_view bytes) {
  uncredited_ += static_cast<std::uint32_t>(bytes.size());
  H2ClientSession& session = *static_cast<H2ClientSession*>(session_);
  const bool runs = session.Deliver(*this, [&] { handler_->OnBody(bytes); });
  // Only now: who pauses because of these bytes gets no more than the rest of the window.
  if (runs && !paused_) session.Credit(*this);
}

void Stream::OnEnd() {
  ended_ = true;
  if (part_ == request_.body.size()) return;
  // Answered before all of the request was sent: nobody wants the rest (RFC 9113 8.1, FAULTS U-32).
  static_cast<H2ClientSession*>(session_)->Abandon(*this, http::H2Error::kNoError);
  Detach();
  handler_->OnEnd();
}

http::BodyPiece Stream::PullBody(char* to, std::size_t capacity) {
  std::size_t size = 0;
  if (!TakeBody(to, capacity, size)) return {size, http::BodyState::kMore};
  handler_->OnRequestSent();
  return {size, http::BodyState::kEnd};
}

/// The response counts as complete only now, so that a reset right behind END_STREAM (NO_ERROR when the server did not
/// want the rest of the request) and a good end take one way.
void Stream::OnClosed(http::H2Error code, http::H2Fate fate) {
  static_cast<H2ClientSession*>(session_)->Closed(*this);
  Detach();
  if (ended_) {
    handler_->OnEnd();
    return;
  }
  const bool broken = fate == http::H2Fate::kMalformed || code == http::H2Error::kProtocolError ||
                      code == http::H2Error::kCompressionError;
  if (fate == http::H2Fate::kUnprocessed) {
    handler_->OnFailed(
        UpstreamError(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed, "the upstream refused the stream"));
  } else if (broken) {
    handler_->OnFailed(UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, "the upstream broke HTTP/2"));
  } else {
    handler_->OnFailed(UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "the upstream reset the stream"));
  }
}

}  // namespace penstock::upstream
