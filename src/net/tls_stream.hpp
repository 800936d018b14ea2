#pragma once

#include <string_view>

#include "penstock/mem/chain.hpp"
#include "penstock/net/tls.hpp"

struct ssl_st;

namespace penstock::net {

class Transport;

/// Owned by one Worker. One TLS connection's state: OpenSSL fed by borrowed ciphertext through a BIO of our own, so that
/// nothing is buffered twice and an idle connection holds no record buffers (SSL_MODE_RELEASE_BUFFERS).
class TlsStream {
 public:
  TlsStream(Transport& transport, const TlsServerContext& context);
  TlsStream(Transport& transport, const TlsClientContext& context, std::string_view server_name);
  ~TlsStream();

  /// The socket stands: a client says hello.
  void Start();
  /// Ciphertext came: drives the handshake, delivers plaintext.
  void OnCiphertext(std::string_view bytes);
  /// The peer's FIN. Without a close_notify before it this is a truncation.
  void OnSocketEnd();
  /// Encrypts what `plain` holds (as much as keeps the ciphertext under its bound) and writes it.
  void Flush(Chain& plain);
  void CloseNotify();

  bool open() const noexcept { return handshake_done_; }
  std::string_view alpn() const noexcept;
  std::string_view server_name() const noexcept;

 private:
  // the rest is the implementation's
  bool handshake_done_ = false;
};

}  // namespace penstock::net
