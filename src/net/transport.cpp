#include "penstock/net/transport.hpp"

#include <array>
#include <cstring>

#include "net/tls_stream.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::net {
namespace {

constexpr std::size_t kPartsPerWrite = 64;

}  // namespace

Transport::Transport(rt::Worker& worker, TransportHandler& handler) noexcept
    : worker_(worker), handler_(handler), out_(worker.chunks()) {}

Transport::~Transport() = default;

void Transport::Accept(std::unique_ptr<rt::Socket> socket, const TlsServerContext* tls) {
  accepted_ = true;
  socket_ = std::move(socket);
  if (tls != nullptr) tls_ = std::make_unique<TlsStream>(*this, *tls);
  socket_->Start(*this);
  if (tls == nullptr) handler_.OnOpen();
}

void Transport::Connect(const rt::Address& address, const rt::ConnectOptions& options, const TlsClientContext* tls,
                        std::string_view server_name) {
  connecting_ = true;
  socket_ = worker_.loop().Connect(address, options, *this);
  if (tls != nullptr) tls_ = std::make_unique<TlsStream>(*this, *tls, server_name);
}

void Transport::Flush() {
  if (!open() || connecting_) return;
  if (tls_ != nullptr) {
    tls_->FlushPlain(out_);
  } else {
    const std::size_t before = out_.size();
    WriteOut(out_);
    sent_ += before - out_.size();
  }
}

/// One write of `size` bytes. A short one means that OnWritable will come.
std::size_t Transport::Offer(std::span<const iovec> parts, std::size_t size) {
  const std::size_t taken = socket_->Write(parts);
  stuck_ = taken < size;
  return taken;
}

/// Writes what the kernel takes; true when that was all.
bool Transport::WriteOut(Chain& chain) {
  std::array<iovec, kPartsPerWrite> parts;
  while (!stuck_ && !chain.empty()) {
    const std::size_t count = chain.Peek(parts);
    std::size_t offered = 0;
    for (std::size_t i = 0; i < count; ++i) offered += parts[i].iov_len;
    chain.Consume(Offer(std::span(parts.data(), count), offered));
  }
  return chain.empty();
}

void Transport::PauseRead() {
  if (!open()) return;
  if (tls_ != nullptr) tls_->PauseRead();
  socket_->PauseRead();
}

void Transport::ResumeRead() {
  if (!open()) return;
  if (tls_ == nullptr || tls_->ResumeRead()) socket_->ResumeRead();
}

void Transport::ShutdownWrite() {
  if (!open()) return;
  if (tls_ != nullptr) {
    tls_->ShutdownWrite();
  } else {
    socket_->ShutdownWrite();
  }
}

void Transport::Close() {
  if (!open()) return;
  if (tls_ != nullptr && !stuck_ && !connecting_) tls_->CloseNotify();
  socket_->Close();
}

void Transport::Abort() {
  if (open()) socket_->Abort();
}

std::string_view Transport::alpn() const noexcept { return tls_ == nullptr ? std::string_view{} : tls_->alpn(); }
std::string_view Transport::server_name() const noexcept {
  return tls_ == nullptr ? std::string_view{} : tls_->server_name();
}

bool Transport::Covers(std::string_view host) { return tls_ == nullptr || tls_->Covers(host); }

void Transport::OnConnected() {
  connecting_ = false;
  if (tls_ != nullptr) {
    tls_->Start();
  } else {
    handler_.OnOpen();
  }
}

void Transport::OnRead(std::string_view bytes) {
  if (tls_ != nullptr) {
    tls_->OnCiphertext(bytes);
  } else {
    handler_.OnData(bytes);
  }
}

void Transport::OnEnd() {
  if (tls_ != nullptr) {
    tls_->OnSocketEnd();
  } else {
    handler_.OnEnd();
  }
}

void Transport::OnWritable() {
  stuck_ = false;
  Flush();
  const bool handshake = tls_ != nullptr && !tls_->open();  // what was stuck then was not the handler's
  if (open() && !stuck_ && !handshake) handler_.OnRoom();
}

void Transport::OnError(int error) {
  const char* text = ::strerrordesc_np(error);  // "Connection refused": static, never translated
  if (text == nullptr) text = "unknown error";
  if (accepted_) {
    Fail(DownstreamError(ErrorCode::kClientGone, text));
  } else if (connecting_) {
    Fail(UpstreamError(ErrorCode::kUpstreamConnect, Retry::kIfUnprocessed, text));
  } else if (tls_ != nullptr && !tls_->open()) {
    Fail(UpstreamError(ErrorCode::kUpstreamTls, Retry::kIfUnprocessed, text));
  } else {
    Fail(UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, text));
  }
}

void Transport::Fail(const Error& error) {
  if (socket_ != nullptr) socket_->Close();
  handler_.OnFailed(error);
}

}  // namespace penstock::net
