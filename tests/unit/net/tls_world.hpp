#pragma once

#include <memory>
#include <string>

#include "net/tls_stream.hpp"
#include "support/certificates.hpp"
#include "unit/net/raw_tls.hpp"
#include "unit/net/transport_side.hpp"

namespace penstock::net {

inline constexpr const char* kServerName = "gateway.test";

/// A World with an authority and a good certificate for kServerName and 127.0.0.1.
struct TlsWorld : World {
  TlsWorld() { server_tls = Server(good); }

  std::shared_ptr<const TlsServerContext> Server(const test::CertificateFiles& files,
                                                 const std::string& client_ca = "") {
    auto made = TlsServerContext::Make({files.certificate, files.private_key, client_ca});
    return made.has_value() ? *made : nullptr;
  }
  std::shared_ptr<const TlsClientContext> Client(TlsClientOptions options = {}) {
    if (options.ca.empty()) options.ca = authority.file();
    auto made = TlsClientContext::Make(options);
    return made.has_value() ? *made : nullptr;
  }
  std::unique_ptr<RawTls> ConnectRaw(SSL_CTX* context) {
    return std::make_unique<RawTls>(test::RawSocket::Connect(listener.address()), context, RawTls::Role::kClient);
  }
  /// Steps the raw peer once a turn until `done`.
  template <class Condition>
  bool UntilWith(RawTls& raw, Condition done, int turns_max = 5000) {
    return Until(
        [&] {
          raw.Step();
          return done();
        },
        turns_max);
  }

  test::TemporaryFolder folder;
  test::CertificateAuthority authority{folder, "authority"};
  test::CertificateFiles good = authority.Issue("good", {.dns = {kServerName}, .ips = {"127.0.0.1"}});
};

}  // namespace penstock::net
