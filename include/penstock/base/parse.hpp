#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/result.hpp"
#include "penstock/base/time.hpp"

namespace penstock {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

/// Why a text was refused: a constant text that fits after "is refused because it ...", without the text
/// itself.
struct ParseError {
  const char* message;
};

template <class T>
using Parsed = Result<T, ParseError>;

[[noreturn]] inline void throw_exception_from_error(const ParseError& error, const boost::source_location& where) {
  (void)error;
  (void)where;
  __builtin_trap();
}

/// Decimal digits only: no sign, blank, point, exponent or leading zero.
Parsed<std::uint64_t> ParseInteger(std::string_view text, std::uint64_t max = UINT64_MAX);

/// A finite decimal number that is not negative: "0.25", "33"; no exponent, hexadecimal, inf or nan.
Parsed<double> ParseNumber(std::string_view text);

/// A whole number and one unit of us, ms, s, m, h: "250ms". Zero needs no unit. At most 2^63 - 1 nanoseconds.
Parsed<Duration> ParseDuration(std::string_view text);

/// A whole number and one unit of B, KiB, MiB, GiB: "64KiB", in bytes. Zero needs no unit.
Parsed<std::uint64_t> ParseSize(std::string_view text);

/// A size and "/s": "1KiB/s", in bytes per second. Zero needs no unit.
Parsed<std::uint64_t> ParseRate(std::string_view text);

/// The shortest exact spelling; seconds are the largest unit ("600s", "250ms"). Parses back to the same
/// value, except that a part below a microsecond is cut.
std::string PrintDuration(Duration duration);
std::string PrintSize(std::uint64_t bytes);
std::string PrintRate(std::uint64_t bytes_per_second);
std::string PrintNumber(double number);

}  // namespace penstock
