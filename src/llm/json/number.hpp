#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace penstock::llm::json {

enum class NumberFault : unsigned char { kNone, kSyntax, kRange };

/// Checks a whole token against RFC 8259's number. kRange: an integer (no fraction, no exponent) outside
/// [-2^63, 2^64), or a magnitude that no double holds. Underflow is no fault. Linear in the token.
NumberFault CheckNumber(std::string_view token) noexcept;

/// Values of tokens that passed CheckNumber. An underflow is 0.
double NumberValue(std::string_view token) noexcept;
/// The exact value when the number is integral and within [-2^53, 2^53]: 16, 16.0 and 1.6e1 are the same.
std::optional<std::int64_t> IntegerValue(std::string_view token) noexcept;

}  // namespace penstock::llm::json
