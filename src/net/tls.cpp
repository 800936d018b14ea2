#include "penstock/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>

#include "net/tls_pem.hpp"
#include "net/tls_sessions.hpp"
#include "net/tls_stream.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::net {
namespace {

// TLS 1.2: forward secrecy and AEAD, the suites RFC 9113 section 9.2.2 leaves over. TLS 1.3 has no others.
constexpr const char* kTls12Suites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-"
    "SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr std::uint8_t kAlpnH2[] = {2, 'h', '2'};
constexpr std::uint8_t kAlpnHttp1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr std::uint8_t kAlpnPreference[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
constexpr long kTicketLifetimeSeconds = 3600;
constexpr std::size_t kTicketsPerHandshake = 1;  // the default of 2 costs bytes and time for browsers' sake

OpenSslPtr<SSL_CTX> NewContext(const SSL_METHOD* method) {
  OpenSslPtr<SSL_CTX> context(SSL_CTX_new(method));
  PENSTOCK_ASSERT(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION);
  PENSTOCK_ASSERT(SSL_CTX_set_cipher_list(context.get(), kTls12Suites) == 1);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

/// Our order decides. A client that offers only what we do not speak is told so (RFC 7301 section 3.2); one that offers
/// nothing is not asked here and gets HTTP/1.1.
int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
               void*) {
  unsigned char* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, kAlpnPreference, sizeof kAlpnPreference, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

/// Every name is served by the one certificate; acknowledging keeps the name with the session.
int AcknowledgeServerName(SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; }

/// One key for the whole process, so that a reload keeps sessions alive; it lives in memory only. What a ticket is good
/// for is bounded by the session id context below (nginx CVE-2025-23419 is what happens without).
void UseProcessTicketKey(SSL_CTX* context) {
  static std::array<unsigned char, 80> key = [] {
    std::array<unsigned char, 80> fresh{};
    PENSTOCK_ASSERT(RAND_bytes(fresh.data(), static_cast<int>(fresh.size())) == 1);
    return fresh;
  }();
  PENSTOCK_ASSERT(SSL_CTX_set_tlsext_ticket_keys(context, key.data(), static_cast<long>(key.size())) == 1);
}

void BindTickets(SSL_CTX* context, const X509* certificate, const std::vector<OpenSslPtr<X509>>& client_authorities) {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_DigestInit_ex(digest, EVP_sha256(), nullptr);
  const auto add = [digest](const X509* x509) {
    unsigned char fingerprint[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(x509, EVP_sha256(), fingerprint, &size);
    EVP_DigestUpdate(digest, fingerprint, size);
  };
  add(certificate);
  for (const auto& authority : client_authorities) add(authority.get());
  unsigned char id[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_DigestFinal_ex(digest, id, &size);
  EVP_MD_CTX_free(digest);
  PENSTOCK_ASSERT(SSL_CTX_set_session_id_context(context, id, size) == 1);
}

std::string DescribeDates(const std::string& path, const X509* certificate) {
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) return path + ": the certificate has expired";
  if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0) return path + ": the certificate is not valid yet";
  return "";
}

/// Trusts exactly these certificates. An intermediate or a leaf given on purpose is an anchor too, as with curl.
void Trust(SSL_CTX* context, const std::vector<OpenSslPtr<X509>>& authorities) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& authority : authorities) X509_STORE_add_cert(store, authority.get());
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  ERR_clear_error();
}

std::string DigestOf(const std::vector<OpenSslPtr<X509>>& certificates) {
  std::string digests;
  for (const auto& certificate : certificates) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (X509_digest(certificate.get(), EVP_sha256(), digest, &size) == 1)
      digests.append(reinterpret_cast<const char*>(digest), size);
  }
  return digests;
}

void DemandClientCertificate(SSL_CTX* context, const std::vector<OpenSslPtr<X509>>& authorities) {
  Trust(context, authorities);
  for (const auto& authority : authorities) SSL_CTX_add_client_CA(context, authority.get());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

}  // namespace

Result<std::shared_ptr<const TlsServerContext>, TlsError> TlsServerContext::Make(const TlsServerOptions& options) {
  TRY(auto chain, ReadCertificates(options.certificate));
  TRY(const auto key, ReadPrivateKey(options.private_key));
  std::vector<OpenSslPtr<X509>> client_authorities;
  if (!options.client_ca.empty()) {
    TRY(client_authorities, ReadCertificates(options.client_ca));
  }
  OpenSslPtr<SSL_CTX> context = NewContext(TLS_server_method());
  SSL_CTX* native = context.get();
  SSL_CTX_set_options(native, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  X509* certificate = chain.front().get();
  if (X509_check_private_key(certificate, key.get()) != 1) {
    ERR_clear_error();
    return TlsError(options.private_key + ": does not belong to the certificate in " + options.certificate);
  }
  if (SSL_CTX_use_certificate(native, certificate) != 1)
    return TlsError(options.certificate + ": " + TakeOpenSslReason());
  if (SSL_CTX_use_PrivateKey(native, key.get()) != 1) return TlsError(options.private_key + ": " + TakeOpenSslReason());
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(native, chain[i].get()) != 1)
      return TlsError(options.certificate + ": " + TakeOpenSslReason());
  }
  if (!client_authorities.empty()) DemandClientCertificate(native, client_authorities);
  SSL_CTX_set_alpn_select_cb(native, &SelectAlpn, nullptr);
  SSL_CTX_set_tlsext_servername_callback(native, &AcknowledgeServerName);
  // Sessions live in the clients' tickets: no server-side cache to bound or to share.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(native, kTicketLifetimeSeconds);
  SSL_CTX_set_num_tickets(native, kTicketsPerHandshake);
  UseProcessTicketKey(native);
  BindTickets(native, certificate, client_authorities);

  std::shared_ptr<TlsServerContext> made(new TlsServerContext);
  made->warning_ = DescribeDates(options.certificate, certificate);
  made->context_ = context.release();
  return std::shared_ptr<const TlsServerContext>(std::move(made));
}

TlsServerContext::~TlsServerContext() { SSL_CTX_free(context_); }

TlsClientContext::TlsClientContext() : sessions_(std::make_shared<TlsSessions>()) {}

Result<std::shared_ptr<const TlsClientContext>, TlsError> TlsClientContext::Make(const TlsClientOptions& options) {
  OpenSslPtr<SSL_CTX> context = NewContext(TLS_client_method());
  SSL_CTX* native = context.get();
  std::string trust_digest;
  if (options.verify) {
    if (options.ca.empty()) {
      if (SSL_CTX_set_default_verify_paths(native) != 1)
        return TlsError(std::string("the system's certificate store: ") + TakeOpenSslReason());
    } else {
      TRY(const auto authorities, ReadCertificates(options.ca));
      Trust(native, authorities);
      trust_digest = DigestOf(authorities);
    }
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
  }
  std::vector<std::uint8_t> alpn;
  if (options.offer_h2) alpn.insert(alpn.end(), std::begin(kAlpnH2), std::end(kAlpnH2));
  if (options.offer_http1) alpn.insert(alpn.end(), std::begin(kAlpnHttp1), std::end(kAlpnHttp1));
  if (!alpn.empty()) SSL_CTX_set_alpn_protos(native, alpn.data(), static_cast<unsigned>(alpn.size()));
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(native, &TlsStream::RememberSession);

  std::shared_ptr<TlsClientContext> made(new TlsClientContext);
  made->verify_ = options.verify;
  made->trust_digest_ = std::move(trust_digest);
  made->context_ = context.release();
  return std::shared_ptr<const TlsClientContext>(std::move(made));
}

TlsClientContext::~TlsClientContext() { SSL_CTX_free(context_); }

OpenSslPtr<SSL_SESSION> TlsSessions::Find(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(name);
  if (found == sessions_.end()) return nullptr;
  SSL_SESSION_up_ref(found->second.get());
  return OpenSslPtr<SSL_SESSION>(found->second.get());
}

void TlsSessions::Remember(const std::string& name, OpenSslPtr<SSL_SESSION> session) {
  const std::lock_guard lock(mutex_);
  if (sessions_.size() >= TlsClientContext::kSessionsMax && !sessions_.contains(name))
    sessions_.erase(sessions_.begin());
  sessions_[name] = std::move(session);
}

void TlsSessions::Forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(name);
}

}  // namespace penstock::net
