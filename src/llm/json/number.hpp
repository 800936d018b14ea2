#pragma once

#include <string_view>

#include "penstock/llm/json_value.hpp"  // NumberValue, IntegerValue

namespace penstock::llm::json {

enum class NumberFault : unsigned char { kNone, kSyntax, kRange };

/// Checks a whole token against RFC 8259's number. kRange: an integer (no fraction, no exponent) outside
/// [-2^63, 2^64), or a magnitude that no double holds. Underflow is no fault. Linear in the token.
NumberFault CheckNumber(std::string_view token) noexcept;

}  // namespace penstock::llm::json
