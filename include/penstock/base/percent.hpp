#pragma once

#include <string>
#include <string_view>

namespace penstock {

/// Two hexadecimal digits follow each '%' (RFC 3986, section 2.1).
bool EscapesAreWhole(std::string_view text) noexcept;

/// "llama%2F3" is "llama/3". What is no valid escape stays as it is.
std::string DecodePercent(std::string_view text);

}  // namespace penstock
