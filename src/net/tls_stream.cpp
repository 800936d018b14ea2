#include "net/tls_stream.hpp"
#include "penstock/net/transport.hpp"
namespace penstock::net {
TlsStream::TlsStream(Transport&, const TlsServerContext&) {}
TlsStream::TlsStream(Transport&, const TlsClientContext&, std::string_view) {}
TlsStream::~TlsStream() = default;
void TlsStream::Start() {}
void TlsStream::OnCiphertext(std::string_view) {}
void TlsStream::OnSocketEnd() {}
void TlsStream::Flush(Chain&) {}
void TlsStream::CloseNotify() {}
std::string_view TlsStream::alpn() const noexcept { return {}; }
std::string_view TlsStream::server_name() const noexcept { return {}; }
}  // namespace penstock::net
