#include "penstock/net/tls.hpp"
namespace penstock::net {
TlsServerContext::~TlsServerContext() = default;
TlsClientContext::~TlsClientContext() = default;
}  // namespace penstock::net
