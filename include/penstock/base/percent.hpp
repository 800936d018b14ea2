#pragma once

#include <string>
#include <string_view>

namespace penstock {

/// Of a hexadecimal digit, in either case; -1: it is none.
constexpr int HexValue(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// "llama%2F3" is "llama/3" (RFC 3986, section 2.1). What is no valid escape stays as it is.
std::string DecodePercent(std::string_view text);

}  // namespace penstock
