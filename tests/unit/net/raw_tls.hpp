#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <utility>

#include "support/raw_socket.hpp"

namespace penstock::net {

/// A TLS peer that a test holds in its hands: OpenSSL between two memory BIOs and a raw socket, moved by Step(). It may
/// be old, slow, rude or broken in ways our own client and server never are.
class RawTls {
 public:
  enum class Role { kClient, kServer };

  RawTls(test::RawSocket socket, SSL_CTX* context, Role role) : socket_(std::move(socket)), ssl_(SSL_new(context)) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_, in_, out_);
    SSL_set_app_data(ssl_, this);
    SSL_set_info_callback(ssl_, &RawTls::OnInfo);
    role == Role::kClient ? SSL_set_connect_state(ssl_) : SSL_set_accept_state(ssl_);
  }
  ~RawTls() {
    SSL_set_shutdown(ssl_,
                     SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // else SSL_free spoils the session for resumption
    SSL_free(ssl_);
  }
  RawTls(const RawTls&) = delete;
  RawTls& operator=(const RawTls&) = delete;

  SSL* ssl() noexcept { return ssl_; }
  test::RawSocket& socket() noexcept { return socket_; }

  /// Moves at most `step_bytes` each way, and OpenSSL in between.
  void Step() {
    if (reading) {
      const std::string came = socket_.Receive(step_bytes);
      BIO_write(in_, came.data(), static_cast<int>(came.size()));
    }
    if (!done) {
      done = SSL_do_handshake(ssl_) == 1;
    } else {
      char buffer[16 * 1024];
      for (int n = 0; (n = SSL_read(ssl_, buffer, sizeof buffer)) > 0;)
        received.append(buffer, static_cast<std::size_t>(n));
      closed = (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
    }
    Push();
  }
  /// Sends what OpenSSL wrote; keeps the last `hold_back` bytes.
  void Push() {
    char buffer[16 * 1024];
    for (int n = 0; (n = BIO_read(out_, buffer, sizeof buffer)) > 0;)
      pending_.append(buffer, static_cast<std::size_t>(n));
    if (pending_.size() <= hold_back) return;
    const std::size_t sent =
        socket_.Send(std::string_view(pending_).substr(0, std::min(pending_.size() - hold_back, step_bytes)));
    pending_.erase(0, sent);
  }
  void Write(std::string_view bytes) {
    SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    Push();
  }
  std::size_t pending() const noexcept { return pending_.size(); }

  std::size_t step_bytes = 1 << 20;
  std::size_t hold_back = 0;
  bool reading = true;
  bool done = false;
  bool closed = false;  ///< close_notify came
  int alert = -1;       ///< the last alert received (RFC 8446 section 6), e.g. 70 = protocol_version
  std::string received;

 private:
  static void OnInfo(const SSL* ssl, int where, int value) {
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
      static_cast<RawTls*>(SSL_get_app_data(ssl))->alert = value & 0xff;
  }

  test::RawSocket socket_;
  SSL* ssl_;
  BIO* in_ = nullptr;
  BIO* out_ = nullptr;
  std::string pending_;
};

/// An SSL_CTX that goes with the test.
struct RawContext {
  explicit RawContext(const SSL_METHOD* method) : native(SSL_CTX_new(method)) {}
  ~RawContext() { SSL_CTX_free(native); }
  RawContext(const RawContext&) = delete;
  RawContext& operator=(const RawContext&) = delete;
  void Only(int version) {
    SSL_CTX_set_security_level(native, 0);  // the old versions' digests are below level 1
    SSL_CTX_set_min_proto_version(native, version);
    SSL_CTX_set_max_proto_version(native, version);
  }
  SSL_CTX* native;
};

}  // namespace penstock::net
