#include "upstream/connection.hpp"

#include "upstream/h1_client_session.hpp"
#include "upstream/h2_client_session.hpp"

namespace penstock::upstream {

Connection::Connection(ConnectionPool& pool)
    : pool_(&pool),
      worker_(pool.worker_),
      transport_(pool.worker_, *this),
      timer_(this, [](void* self) { static_cast<Connection*>(self)->OnTimer(); }) {}

Connection::~Connection() = default;

void Connection::Connect(const rt::Address& address) {
  began_ = worker_.Now();
  ArmTimer(pool_->options_.connect_timeout);
  transport_.Connect(address, rt::ConnectOptions{}, pool_->options_.tls.get(), pool_->options_.server_name);
}

void Connection::OnOpen() {
  if (left_) return;
  CancelTimer();
  const PoolProtocol protocol = pool_->options_.protocol;
  const bool http2 = protocol == PoolProtocol::kHttp2 || (protocol == PoolProtocol::kAlpn && transport_.alpn() == "h2");
  if (http2) {
    session_ = std::make_unique<H2ClientSession>(*this, pool_->heads_, pool_->memory_);
  } else {
    session_ = std::make_unique<H1ClientSession>(*this, pool_->heads_);
  }
  pool_->http2_seen_ = http2;
  pool_->events_.OnConnected(worker_.Now() - began_);
  pool_->Connected(*this);
}

void Connection::OnData(std::string_view bytes) {
  if (!left_ && session_ != nullptr) session_->OnData(bytes);
}

void Connection::OnEnd() {
  if (left_) return;
  if (session_ == nullptr) {
    OnFailed(UpstreamError(ErrorCode::kUpstreamConnect, Retry::kIfUnprocessed, "closed while connecting"));
  } else {
    session_->OnFin();
  }
}

void Connection::OnRoom() {
  if (!left_ && session_ != nullptr) session_->Flush();
}

void Connection::OnFailed(const Error& error) {
  if (left_) return;
  const bool was_connecting = connecting();
  ConnectionPool& pool = *pool_;
  transport_.Close();
  Leave();
  if (was_connecting) {
    pool.Failed(*this, error);
  } else {
    session_->OnLost(error);
  }
}

void Connection::OnTimer() {
  if (left_) return;
  if (session_ != nullptr) {
    session_->OnTimer();
  } else {
    OnFailed(UpstreamError(ErrorCode::kUpstreamConnect, Retry::kIfUnprocessed, "connect timed out"));
  }
}

void Connection::Flush() {
  if (!left_ && session_ != nullptr) session_->Flush();
}

void Connection::Close() {
  if (left_) return;
  transport_.Close();
  Leave();
}

void Connection::Orphan() {
  if (left_) return;
  transport_.Close();
  left_ = true;
  timer_.Cancel();
  worker_.Bury(std::unique_ptr<rt::Mortal>(this));
}

void Connection::Leave() {
  left_ = true;
  timer_.Cancel();
  pool_->Gone(*this);
  worker_.Bury(std::unique_ptr<rt::Mortal>(this));
}

}  // namespace penstock::upstream
