#pragma once

#include <string_view>

#include "penstock/http/head.hpp"

namespace penstock::proxy {

/// The key as a client sent it: `Authorization: Bearer KEY` (RFC 6750 2.1; the scheme in any case, RFC 9110 11.1), or
/// Anthropic's x-api-key. Empty: none. What is no Bearer is something that fits no key. Borrowed from `head`.
std::string_view OfferedKey(const http::Head& head) noexcept;

}  // namespace penstock::proxy
