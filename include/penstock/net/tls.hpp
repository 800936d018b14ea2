#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "penstock/base/result.hpp"

struct ssl_ctx_st;

namespace penstock::net {

class TlsStream;

/// What a listener's TLS needs. TLS 1.2 and 1.3 only, ALPN h2 then http/1.1, tickets on, early data and renegotiation off.
struct TlsServerOptions {
  std::string certificate;  ///< PEM file, the chain included
  std::string private_key;  ///< PEM file
  std::string client_ca;    ///< PEM file; not empty = a client must show a certificate of this authority
};

/// What an upstream's TLS needs.
struct TlsClientOptions {
  std::string ca;            ///< PEM file; empty = the system's store
  bool verify = true;
  bool offer_h2 = true;      ///< ALPN h2 and http/1.1, or only http/1.1
  bool offer_http1 = true;
};

/// A text for the operator: what could not be read or does not fit, naming the file.
using TlsError = std::string;

/// Immutable. One certificate's worth of server TLS; rotated by building another.
class TlsServerContext {
 public:
  static Result<std::shared_ptr<const TlsServerContext>, TlsError> Make(const TlsServerOptions& options);
  ~TlsServerContext();
  ssl_ctx_st* native() const noexcept { return context_; }

 private:
  explicit TlsServerContext(ssl_ctx_st* context) noexcept : context_(context) {}
  ssl_ctx_st* context_;
};

/// Immutable. Client TLS towards one cluster's endpoints.
class TlsClientContext {
 public:
  static Result<std::shared_ptr<const TlsClientContext>, TlsError> Make(const TlsClientOptions& options);
  ~TlsClientContext();
  ssl_ctx_st* native() const noexcept { return context_; }

 private:
  explicit TlsClientContext(ssl_ctx_st* context) noexcept : context_(context) {}
  ssl_ctx_st* context_;
};

}  // namespace penstock::net
