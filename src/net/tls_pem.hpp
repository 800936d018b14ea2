#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "penstock/base/result.hpp"
#include "penstock/net/tls.hpp"

namespace penstock::net {

struct OpenSslFree {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
};
template <class T>
using OpenSslPtr = std::unique_ptr<T, OpenSslFree>;

/// All certificates of a PEM file, at least one. The error names the file.
Result<std::vector<OpenSslPtr<X509>>, TlsError> ReadCertificates(const std::string& path);
/// The private key of a PEM file. A key behind a passphrase is an error: a daemon has nobody to ask.
Result<OpenSslPtr<EVP_PKEY>, TlsError> ReadPrivateKey(const std::string& path);
/// The reason of the oldest OpenSSL error of this thread, a static text; clears the queue.
const char* TakeOpenSslReason() noexcept;

}  // namespace penstock::net
