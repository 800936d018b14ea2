#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "penstock/base/result.hpp"

struct ssl_ctx_st;

namespace penstock::net {

class TlsStream;
class TlsSessions;

/// What a listener's TLS needs. TLS 1.2 and 1.3 with forward-secret AEAD suites only (none of RFC 9113 appendix A),
/// ALPN h2 then http/1.1, tickets on; early data, renegotiation and compression off.
struct TlsServerOptions {
  std::string certificate{};  ///< PEM file, the chain included
  std::string private_key{};  ///< PEM file, without a passphrase
  std::string client_ca{};    ///< PEM file; not empty = a client must show a certificate of this authority
};

/// What an upstream's TLS needs. The same versions and suites.
struct TlsClientOptions {
  std::string ca{};      ///< PEM file; empty = the system's store
  bool verify = true;    ///< chain, dates and name; without it anybody may answer
  bool offer_h2 = true;  ///< ALPN h2 and http/1.1, or one of them; neither = no ALPN
  bool offer_http1 = true;
};

/// A line for the operator: what could not be read or does not fit, the file's name first.
using TlsError = std::string;

/// Immutable. One certificate's worth of server TLS; rotated by building another. Tickets are good on every worker, and
/// in every later context of the process with the same certificate and client authorities, and nowhere else.
class TlsServerContext {
 public:
  static Result<std::shared_ptr<const TlsServerContext>, TlsError> Make(const TlsServerOptions& options);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  ssl_ctx_st* native() const noexcept { return context_; }
  /// A line for the operator about a certificate that loads but will not convince anybody: expired or not yet valid.
  /// Else "".
  const std::string& warning() const noexcept { return warning_; }

 private:
  TlsServerContext() noexcept = default;
  ssl_ctx_st* context_ = nullptr;
  std::string warning_;
};

/// Shared: immutable but for the remembered sessions (at most kSessionsMax, one per server name), which a mutex guards.
/// Client TLS towards one cluster's endpoints.
class TlsClientContext {
 public:
  static constexpr std::size_t kSessionsMax = 256;

  static Result<std::shared_ptr<const TlsClientContext>, TlsError> Make(const TlsClientOptions& options);
  ~TlsClientContext();
  TlsClientContext(const TlsClientContext&) = delete;
  TlsClientContext& operator=(const TlsClientContext&) = delete;

  ssl_ctx_st* native() const noexcept { return context_; }
  bool verify() const noexcept { return verify_; }
  /// SHA-256 of each certificate of `ca`, in their order; empty for the system's store. Another digest: another file
  /// content.
  const std::string& trust_digest() const noexcept { return trust_digest_; }

 private:
  friend class TlsStream;
  TlsClientContext();
  ssl_ctx_st* context_ = nullptr;
  bool verify_ = true;
  std::string trust_digest_;
  std::shared_ptr<TlsSessions> sessions_;  ///< also held by each connection: a ticket may come after a reload
};

}  // namespace penstock::net
