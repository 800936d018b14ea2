#pragma once

#include <cstddef>
#include <string_view>

namespace penstock::grpc {

/// Characters that `bytes` bytes take as base64 (RFC 4648, section 4) without padding.
constexpr std::size_t Base64Size(std::size_t bytes) noexcept { return (bytes * 4 + 2) / 3; }

/// Writes them to `to`; returns their end.
char* WriteBase64(std::string_view bytes, char* to) noexcept;

/// Writes the bytes that `text`, without padding, stands for to `to`, which has room for 3/4 of it; returns their end,
/// or null when it is no base64. Bits that no byte takes are not looked at.
char* ReadBase64(std::string_view text, char* to) noexcept;

}  // namespace penstock::grpc
