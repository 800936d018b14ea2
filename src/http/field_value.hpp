#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "penstock/http/head.hpp"

namespace penstock::http {

// What both protocols think of a request field's value (docs/adr/0002).

/// Well-formed UTF-8 (RFC 3629) without C1 control characters? Some peers strip or split at \x85 and \xa0.
bool IsCleanUtf8(std::string_view text) noexcept;

/// Any byte above 0x7f? By words: every field of every HTTP/2 request is asked.
inline bool HasEightBit(std::string_view text) noexcept {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  const char* p = text.data();
  std::size_t left = text.size();
  std::uint64_t all = 0;
  for (std::uint64_t word = 0; left >= sizeof word; p += sizeof word, left -= sizeof word) {
    std::memcpy(&word, p, sizeof word);
    all |= word;
  }
  for (; left != 0; --left) all |= static_cast<unsigned char>(*p++);
  return (all & kHighBits) != 0;
}

/// Fields that are kept even when their value is not clean: dropped, a wrong key would pass for no key. They go to the
/// tenants' digests only, never upstream.
constexpr bool IsCredential(HeaderId id) noexcept { return id == HeaderId::kAuthorization || id == HeaderId::kXApiKey; }

}  // namespace penstock::http
