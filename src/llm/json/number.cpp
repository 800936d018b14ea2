#include "llm/json/number.hpp"

#include <charconv>
#include <cmath>
#include <cstddef>

namespace penstock::llm::json {
namespace {

constexpr std::int64_t kExponentCap = 1'000'000'000'000;  // far beyond any token's digits, far from overflow
constexpr std::int64_t kDoubleExponentMax = 308;          // the largest double is 1.797...e308

bool IsDigit(char c) noexcept { return static_cast<unsigned>(c - '0') < 10; }

/// The parts of a number, while it is read.
struct Parts {
  const char* whole = nullptr;
  const char* whole_end = nullptr;
  const char* fraction = nullptr;  ///< null without a point
  const char* fraction_end = nullptr;
  std::int64_t exponent = 0;
  bool has_exponent = false;
  bool negative = false;
};

const char* SkipDigits(const char* p, const char* end) noexcept {
  while (p != end && IsDigit(*p)) ++p;
  return p;
}

bool Split(std::string_view token, Parts& parts) noexcept {
  const char* p = token.data();
  const char* const end = p + token.size();
  parts.negative = p != end && *p == '-';
  if (parts.negative) ++p;
  parts.whole = p;
  p = parts.whole_end = SkipDigits(p, end);
  if (p == parts.whole || (*parts.whole == '0' && p - parts.whole > 1)) return false;
  if (p != end && *p == '.') {
    parts.fraction = ++p;
    p = parts.fraction_end = SkipDigits(p, end);
    if (p == parts.fraction) return false;
  }
  if (p != end && (*p | 0x20) == 'e') {
    parts.has_exponent = true;
    ++p;
    const bool minus = p != end && *p == '-';
    if (p != end && (*p == '-' || *p == '+')) ++p;
    const char* const digits = p;
    for (; p != end && IsDigit(*p); ++p) {
      if (parts.exponent < kExponentCap) parts.exponent = parts.exponent * 10 + (*p - '0');
    }
    if (p == digits) return false;
    if (minus) parts.exponent = -parts.exponent;
  }
  return p == end;
}

bool IntegerFits(const Parts& parts) noexcept {
  const auto digits = static_cast<std::size_t>(parts.whole_end - parts.whole);
  if (digits <= 18) return true;
  if (digits > 20) return false;
  std::uint64_t value = 0;
  if (std::from_chars(parts.whole, parts.whole_end, value).ec != std::errc{}) return false;
  return !parts.negative || value <= std::uint64_t{1} << 63;
}

/// The decimal exponent of the first significant digit; nothing for zero.
std::optional<std::int64_t> LeadingExponent(const Parts& parts) noexcept {
  if (*parts.whole != '0') return parts.exponent + (parts.whole_end - parts.whole) - 1;
  for (const char* p = parts.fraction; p != nullptr && p != parts.fraction_end; ++p) {
    if (*p != '0') return parts.exponent - (p - parts.fraction) - 1;
  }
  return std::nullopt;
}

}  // namespace

NumberFault CheckNumber(std::string_view token) noexcept {
  Parts parts;
  if (!Split(token, parts)) return NumberFault::kSyntax;
  if (parts.fraction == nullptr && !parts.has_exponent) {
    return IntegerFits(parts) ? NumberFault::kNone : NumberFault::kRange;
  }
  const std::optional<std::int64_t> leading = LeadingExponent(parts);
  if (!leading || *leading < kDoubleExponentMax) return NumberFault::kNone;
  if (*leading > kDoubleExponentMax) return NumberFault::kRange;
  double value = 0;
  const auto read = std::from_chars(token.data(), token.data() + token.size(), value);
  return read.ec == std::errc{} ? NumberFault::kNone : NumberFault::kRange;
}

double NumberValue(std::string_view token) noexcept {
  double value = 0;
  std::from_chars(token.data(), token.data() + token.size(), value);
  return value;
}

std::optional<std::int64_t> IntegerValue(std::string_view token) noexcept {
  constexpr double kExactMax = 9007199254740992.0;
  constexpr std::size_t kSurelyExact = 15;  // characters of a plain integer below 2^53
  std::int64_t plain = 0;
  const char* const end = token.data() + token.size();
  if (token.size() <= kSurelyExact && std::from_chars(token.data(), end, plain).ptr == end) return plain;
  const double value = NumberValue(token);
  if (!(std::fabs(value) <= kExactMax) || value != std::trunc(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace penstock::llm::json
