#include "net/tls_stream.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "net/tls_bio.hpp"
#include "net/tls_sessions.hpp"
#include "penstock/base/assert.hpp"
#include "penstock/net/transport.hpp"

namespace penstock::net {
namespace {

// Per thread, not per connection. Decrypted bytes are lent to the handler out of the first; small pieces are gathered
// into one record in the second (a handler may send while it reads).
thread_local std::array<char, TlsStream::kRecordBytes> decrypted;
thread_local std::array<char, TlsStream::kRecordBytes> gathered;

/// SSL_get_error looks at the thread's error queue: nothing old may lie there.
void ClearOldErrors() noexcept {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

/// Names are compared without case (RFC 4343).
bool SameHost(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

/// A certificate of ours; unlike an upstream's, one without alternative names may still have a common name.
bool IsGoodFor(X509* certificate, const std::string& host) {
  if (host.front() == '.') return false;  // would stand for every name below it
  const bool good =
      X509_check_host(certificate, host.data(), host.size(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1 ||
      X509_check_ip_asc(certificate, host.c_str(), 0) == 1;
  ClearOldErrors();
  return good;
}

/// The name a client verifies and asks for. IP addresses are verified as such and not sent (RFC 6066 section 3).
bool SetServerName(SSL* ssl, std::string name, bool verify) {
  if (name.ends_with('.')) name.pop_back();
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str()) == 1) return true;
  ERR_clear_error();
  // The subject's common name has not been an identity since RFC 6125; RFC 9525 drops it.
  X509_VERIFY_PARAM_set_hostflags(parameters,
                                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const bool usable = !name.empty() && name.find('\0') == std::string::npos;
  if (!usable) return !verify;
  return X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size()) == 1 &&
         SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

}  // namespace

TlsStream::TlsStream(Transport& transport, const TlsServerContext& context)
    : transport_(transport), held_(transport.worker_.chunks()), cipher_(transport.worker_.chunks()), server_(true) {
  Attach(context.native());
  SSL_set_accept_state(ssl_);
}

TlsStream::TlsStream(Transport& transport, const TlsClientContext& context, std::string_view server_name)
    : transport_(transport), held_(transport.worker_.chunks()), cipher_(transport.worker_.chunks()), server_(false) {
  Attach(context.native());
  SSL_set_connect_state(ssl_);
  session_name_ = server_name.empty() ? transport.peer().ip() : std::string(server_name);
  if (!SetServerName(ssl_, session_name_, context.verify())) {
    bad_name_ = true;
    return;
  }
  sessions_ = context.sessions_;
  if (const auto session = sessions_->Find(session_name_)) SSL_set_session(ssl_, session.get());
}

void TlsStream::Attach(ssl_ctx_st* context) {
  ssl_ = SSL_new(context);
  PENSTOCK_ASSERT(ssl_ != nullptr);
  SSL_set_app_data(ssl_, this);
  BIO* bio = NewStreamBio(*this);
  SSL_set_bio(ssl_, bio, bio);
}

TlsStream::~TlsStream() {
  // Without this OpenSSL spoils the remembered session of a connection that ended without close_notify, which TLS has
  // not asked for since 1.1 (RFC 4346 section 7.2.1).
  if (state_ == State::kOpen) SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl_);
}

int TlsStream::RememberSession(ssl_st* ssl, ssl_session_st* session) {
  auto* stream = static_cast<TlsStream*>(SSL_get_app_data(ssl));
  if (stream->sessions_ == nullptr || SSL_SESSION_is_resumable(session) != 1) return 0;
  stream->sessions_->Remember(stream->session_name_, OpenSslPtr<SSL_SESSION>(session));
  return 1;  // the reference is ours
}

int TlsStream::TakeCiphertext(char* to, std::size_t capacity) noexcept {
  if (!in_.empty()) {
    const std::size_t n = std::min(capacity, in_.size());
    std::memcpy(to, in_.data(), n);
    in_.remove_prefix(n);
    return static_cast<int>(n);
  }
  return 0;
}

void TlsStream::PutCiphertext(std::string_view bytes) {
  if (direct_ && cipher_.empty()) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    bytes.remove_prefix(transport_.Offer(std::span(&part, 1), bytes.size()));
  }
  cipher_.Append(bytes);
}

void TlsStream::Start() {
  if (bad_name_) {
    Fail("the server name cannot be verified");
    return;
  }
  Drive();
}

void TlsStream::OnCiphertext(std::string_view bytes) {
  if (read_ended_ || state_ == State::kFailed) return;
  if (!held_.empty()) {
    held_.Append(bytes);
    return;
  }
  in_ = bytes;
  Drive();
}

/// Serves in_ until it is used up, the handler pauses or the connection ends.
void TlsStream::Drive() {
  bool more = true;
  while (more && transport_.open()) {
    if (state_ == State::kHandshake) {
      more = StepHandshake();
    } else {
      more = !in_.empty() && !paused_ && Decrypt();
    }
  }
  if (!transport_.open()) {
    in_ = {};
    return;
  }
  if (!in_.empty() && !read_ended_) held_.Append(in_);
  in_ = {};
  if (cipher_.size() > kCiphertextBytesMax) {
    Fail("the peer sends but does not read");
  } else if (!cipher_.empty() && !transport_.stuck_) {
    transport_.worker_.FlushLater(*this);
  }
  if (starved_ && transport_.open()) {
    starved_ = false;
    transport_.OnWritable();
  }
}

bool TlsStream::StepHandshake() {
  ClearOldErrors();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    state_ = State::kOpen;
    transport_.handler_.OnOpen();
    return true;
  }
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return false;
  Fail();
  return false;
}

/// One record: its plaintext fits the scratch, so nothing stays behind in OpenSSL and its buffer is released.
bool TlsStream::Decrypt() {
  ClearOldErrors();
  std::size_t size = 0;
  const int result = SSL_read_ex(ssl_, decrypted.data(), decrypted.size(), &size);
  if (result == 1) {
    transport_.handler_.OnData({decrypted.data(), size});
    return true;
  }
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return false;
    case SSL_ERROR_ZERO_RETURN:
      read_ended_ = true;
      transport_.handler_.OnEnd();
      return false;
    default: Fail(); return false;
  }
}

void TlsStream::OnSocketEnd() {
  if (read_ended_ || state_ == State::kFailed) return;
  if (state_ == State::kHandshake) {
    Fail("closed during the TLS handshake");
    return;
  }
  state_ = State::kFailed;
  transport_.Fail(server_ ? DownstreamError(ErrorCode::kClientGone, "closed without close_notify")
                          : UpstreamError(ErrorCode::kUpstreamReset, Retry::kUnproven, "closed without close_notify"));
}

void TlsStream::FlushPlain(Chain& plain) {
  if (transport_.stuck_ || state_ == State::kFailed || broken_write_) return;
  for (;;) {
    // A short rest (handshake messages) goes in front of the first record, in one write with it.
    const bool send_now = plain.empty() || state_ != State::kOpen || cipher_.size() >= kBatchBytes;
    if (send_now && !WriteCiphertext()) return;
    if (plain.empty() || state_ != State::kOpen) break;
    if (!EncryptRecord(plain)) return;
    if (transport_.stuck_) return;
  }
  FinishShutdown();
}

bool TlsStream::EncryptRecord(Chain& plain) {
  std::string_view piece = plain.Front();
  if (piece.size() < kRecordBytes && piece.size() < plain.size()) {
    std::array<iovec, 64> parts;
    const std::size_t count = plain.Peek(parts);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count && size < gathered.size(); ++i) {
      const std::size_t n = std::min(parts[i].iov_len, gathered.size() - size);
      std::memcpy(gathered.data() + size, parts[i].iov_base, n);
      size += n;
    }
    piece = {gathered.data(), size};
  }
  piece = piece.substr(0, kRecordBytes);
  direct_ = piece.size() == plain.size();  // the last record; earlier ones gather
  ClearOldErrors();
  std::size_t written = 0;
  const int result = SSL_write_ex(ssl_, piece.data(), piece.size(), &written);
  direct_ = false;
  if (result != 1 && SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) {
    starved_ = transport_.stuck_ = true;
    return false;
  }
  if (result != 1) {
    // Only a broken SSL object gets here: the BIO never refuses. The caller is in the middle of something: tell it
    // later.
    broken_write_ = true;
    transport_.worker_.FlushLater(*this);
    return false;
  }
  plain.Consume(written);
  transport_.sent_ += written;
  return true;
}

/// True when all of it has left.
bool TlsStream::WriteCiphertext() { return transport_.WriteOut(cipher_); }

void TlsStream::FinishShutdown() {
  if (!shutdown_asked_ || !cipher_.empty() || !transport_.open()) return;
  shutdown_asked_ = false;
  transport_.socket_->ShutdownWrite();
}

void TlsStream::Flush() {
  if (!transport_.open()) return;
  if (broken_write_) {
    Fail();
    return;
  }
  FlushPlain(transport_.out_);
  if (paused_ || held_.empty()) return;
  // What was held back comes first; the socket is read again when it is used up.
  Chain held = std::move(held_);
  while (transport_.open() && !held.empty()) {
    if (paused_ || read_ended_) break;
    in_ = held.Front();
    const std::size_t offered = in_.size();
    Drive();
    held.Consume(offered - held_.size());
    held_.Clear();
  }
  if (!transport_.open() || read_ended_) return;
  held_ = std::move(held);
  if (held_.empty() && !paused_) transport_.socket_->ResumeRead();
}

bool TlsStream::ResumeRead() {
  paused_ = false;
  if (held_.empty()) return true;
  transport_.worker_.FlushLater(*this);
  return false;
}

void TlsStream::CloseNotify() {
  if (state_ != State::kOpen || broken_write_) return;
  ClearOldErrors();
  SSL_shutdown(ssl_);
  WriteCiphertext();
}

void TlsStream::ShutdownWrite() {
  CloseNotify();
  shutdown_asked_ = true;
  FinishShutdown();
}

/// Sends the alert that OpenSSL wrote, closes and tells. Without a reason of ours OpenSSL has one.
void TlsStream::Fail(const char* reason) {
  const bool handshake = state_ == State::kHandshake;
  state_ = State::kFailed;
  const long verdict = SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE ? X509_V_OK : SSL_get_verify_result(ssl_);
  if (reason == nullptr && handshake && verdict != X509_V_OK) reason = X509_verify_cert_error_string(verdict);
  const char* openssl_reason = TakeOpenSslReason();
  if (reason == nullptr) reason = openssl_reason;
  if (handshake && sessions_ != nullptr) sessions_->Forget(session_name_);
  WriteCiphertext();
  transport_.Fail(
      server_ ? DownstreamError(ErrorCode::kClientGone, reason)
              : UpstreamError(ErrorCode::kUpstreamTls, handshake ? Retry::kIfUnprocessed : Retry::kUnproven, reason));
}

std::string_view TlsStream::alpn() const noexcept {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string_view TlsStream::server_name() const noexcept {
  const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? std::string_view{} : std::string_view{name};
}

/// Clients that reuse a connection for several hosts of one certificate ask for the same ones again and again: looking
/// into the certificate costs some microseconds, so the last answer is kept.
bool TlsStream::Covers(std::string_view host) {
  const std::string_view asked_for = server_name();
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.empty() || asked_for.empty() || SameHost(host, asked_for) || SameHost(host, covered_)) return true;
  if (!IsGoodFor(SSL_get_certificate(ssl_), std::string(host))) return false;
  covered_ = host;
  return true;
}

}  // namespace penstock::net
