#include "server/connection.hpp"

#include <algorithm>
#include <cstring>

#include "server/h1_session.hpp"
#include "server/h2_session.hpp"

namespace penstock::server {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

Connection::Connection(Server& server, std::shared_ptr<const Options> options)
    : server_(server),
      options_(std::move(options)),
      transport_(server.worker(), *this),
      timer_(this, [](void* self) { static_cast<Connection*>(self)->OnTimer(); }) {}

Connection::~Connection() = default;

void Connection::Accept(std::unique_ptr<rt::Socket> socket, const net::TlsServerContext* tls) {
  // A connection that says nothing is idle; one that began a handshake or a message has header_timeout.
  ArmTimer(tls != nullptr ? options_->header_timeout : options_->idle_timeout);
  transport_.Accept(std::move(socket), tls);
}

void Connection::OnOpen() {
  if (transport_.alpn() == "h2") {
    Begin(true);
  } else if (!transport_.alpn().empty()) {
    Begin(false);
  } else if (transport_.secure()) {
    ArmTimer(options_->idle_timeout);
  }
}

void Connection::Begin(bool http2) {
  if (http2) {
    session_ = std::make_unique<H2Session>(*this);
  } else {
    session_ = std::make_unique<H1Session>(*this);
  }
  if (draining_) session_->Drain();
}

bool Connection::Sniff(std::string_view bytes) {
  const std::size_t room = kPreface.size() - preface_size_;
  const std::size_t n = std::min(room, bytes.size());
  const bool matches = kPreface.substr(preface_size_, n) == bytes.substr(0, n);
  if (matches && n < room) {
    if (preface_size_ == 0) ArmTimer(options_->header_timeout);
    std::memcpy(preface_.data() + preface_size_, bytes.data(), n);
    preface_size_ = static_cast<std::uint8_t>(preface_size_ + n);
    return false;
  }
  Begin(matches);
  return true;
}

void Connection::OnData(std::string_view bytes) {
  if (left_) return;
  if (session_ == nullptr) {
    if (!Sniff(bytes)) return;
    if (preface_size_ != 0) session_->OnData({preface_.data(), preface_size_});
    if (left_) return;
  }
  session_->OnData(bytes);
}

void Connection::OnEnd() {
  if (left_) return;
  if (session_ == nullptr) {
    Close();
  } else {
    session_->OnFin();
  }
}

void Connection::OnRoom() {
  if (!left_ && session_ != nullptr) session_->Flush();
}

void Connection::OnFailed(const Error&) {
  if (left_) return;
  Leave();
  if (session_ != nullptr) session_->OnLost();
}

void Connection::OnTimer() {
  if (left_) return;
  if (session_ != nullptr) {
    session_->OnTimer();
    return;
  }
  // Nothing, or half a handshake or preface: no protocol to answer in.
  if (preface_size_ != 0 || transport_.secure()) server_.sink().OnConnectionKilled("handshake_timeout");
  Close();
}

void Connection::Flush() {
  if (!left_ && session_ != nullptr) session_->Flush();
}

void Connection::Drain() {
  if (left_ || draining_) return;
  draining_ = true;
  if (session_ != nullptr) session_->Drain();
}

void Connection::CloseIfIdle() {
  if (left_) return;
  // Half a preface or handshake is a request to come; header_timeout bounds it.
  const bool greeting = session_ == nullptr && (preface_size_ != 0 || transport_.secure());
  if (!greeting && (session_ == nullptr || session_->idle())) Close();
}

void Connection::Cut() {
  if (left_) return;
  transport_.Flush();
  Close();
  if (session_ != nullptr) session_->OnLost();
}

void Connection::Close() {
  if (left_) return;
  transport_.Close();
  Leave();
}

void Connection::Abort() {
  if (left_) return;
  transport_.Abort();
  Leave();
}

void Connection::Leave() {
  left_ = true;
  timer_.Cancel();
  server_.Gone(*this);
  worker().Bury(std::unique_ptr<rt::Mortal>(this));
}

}  // namespace penstock::server
