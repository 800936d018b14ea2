#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "penstock/mem/chain.hpp"
#include "penstock/mem/shared_bytes.hpp"

namespace penstock::redis {

/// Commands in RESP, appended to what a connection sends. Pure; nothing can fail. Written here instead of by hiredis'
/// formatter, which would allocate and copy every value once more; the tests compare the two byte for byte.

/// A command of arbitrary arguments: {"SENTINEL", "get-master-addr-by-name", name}.
void AppendCommand(Chain& out, std::span<const std::string_view> arguments);
inline void AppendCommand(Chain& out, std::initializer_list<std::string_view> arguments) {
  AppendCommand(out, std::span(arguments.begin(), arguments.size()));
}

/// AUTH, with a user name (Redis 6 ACLs) or without.
void AppendAuth(Chain& out, std::string_view user, std::string_view password);
void AppendSelect(Chain& out, std::uint32_t database);
void AppendGet(Chain& out, std::string_view key);
void AppendDelete(Chain& out, std::string_view key);

/// SET key value PX ttl_ms. The value is `head` and then `body`, which is sent by reference, never copied.
/// `ttl_ms` is at least 1: Redis refuses 0.
void AppendSet(Chain& out, std::string_view key, std::string_view head, const SharedBytes& body, std::uint64_t ttl_ms);

}  // namespace penstock::redis
