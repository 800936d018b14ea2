#pragma once

#include <string>

#include "penstock/config/server.hpp"
#include "penstock/http/head.hpp"
#include "penstock/rt/address.hpp"

namespace penstock::proxy {

/// One of `trusted_proxies`.
bool IsTrustedProxy(const rt::Address& peer, const config::Server& server);

/// Who sent the request, for the access line: the peer, or, where the peer is one of `trusted_proxies`, the nearest
/// address of X-Forwarded-For, from the right, that is not.
std::string ClientAddress(const rt::Address& peer, const http::Head& head, const config::Server& server);

}  // namespace penstock::proxy
