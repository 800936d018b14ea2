#include "penstock/base/parse.hpp"

#include <charconv>
#include <cmath>
#include <span>

namespace penstock {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr Unit kTimeUnits[] = {
    {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
constexpr Unit kSizeUnits[] = {{"B", 1}, {"KiB", kKiB}, {"MiB", kMiB}, {"GiB", kGiB}};

constexpr const char* kNotInteger = "must be a whole number of decimal digits";
constexpr const char* kTooLarge = "is too large";
constexpr const char* kNegative = "must not be negative";

struct Messages {
  const char* no_unit;
  const char* bad_unit;
};

constexpr Messages kTimeMessages = {"needs a unit, as in 250ms, 10s, 5m or 1h",
                                    "must be a whole number and a unit (us, ms, s, m, h), as in 250ms"};
constexpr Messages kSizeMessages = {"needs a unit, as in 512B, 64KiB, 10MiB or 1GiB",
                                    "must be a whole number and a unit (B, KiB, MiB, GiB), as in 64KiB"};
constexpr Messages kRateMessages = {"needs a unit, as in 512B/s or 1KiB/s",
                                    "must be a whole number and a unit (B/s, KiB/s, MiB/s, GiB/s), as in 1KiB/s"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Parsed<std::uint64_t> ParseQuantity(std::string_view text, std::span<const Unit> units, std::string_view suffix,
                                    const Messages& messages) {
  if (text.starts_with('-')) return ParseError{kNegative};
  std::size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  if (digits == 0) return ParseError{messages.bad_unit};
  TRY(const std::uint64_t number, ParseInteger(text.substr(0, digits)));
  std::string_view unit = text.substr(digits);
  if (unit.empty()) {
    if (number == 0) return number;
    return ParseError{messages.no_unit};
  }
  if (!unit.ends_with(suffix)) return ParseError{messages.bad_unit};
  unit.remove_suffix(suffix.size());
  for (const Unit& known : units) {
    if (unit != known.name) continue;
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(number, known.factor, &product) || product > INT64_MAX) return ParseError{kTooLarge};
    return product;
  }
  return ParseError{messages.bad_unit};
}

}  // namespace

Parsed<std::uint64_t> ParseInteger(std::string_view text, std::uint64_t max) {
  if (text.starts_with('-')) return ParseError{kNegative};
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return ParseError{kNotInteger};
  for (const char c : text) {
    if (!IsDigit(c)) return ParseError{kNotInteger};
  }
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value > max) return ParseError{kTooLarge};
  return value;
}

Parsed<double> ParseNumber(std::string_view text) {
  constexpr const char* kNotNumber = "must be a decimal number";
  if (text.starts_with('-')) return ParseError{kNegative};
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return ParseError{kNotNumber};
  if (point != std::string_view::npos && point + 1 == text.size()) return ParseError{kNotNumber};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i != point && !IsDigit(text[i])) return ParseError{kNotNumber};
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(value)) return ParseError{kTooLarge};
  return value;
}

Parsed<Duration> ParseDuration(std::string_view text) {
  TRY(const std::uint64_t ns, ParseQuantity(text, kTimeUnits, "", kTimeMessages));
  return Duration(static_cast<std::int64_t>(ns));
}

Parsed<std::uint64_t> ParseSize(std::string_view text) { return ParseQuantity(text, kSizeUnits, "", kSizeMessages); }

Parsed<std::uint64_t> ParseRate(std::string_view text) { return ParseQuantity(text, kSizeUnits, "/s", kRateMessages); }

std::string PrintDuration(Duration duration) {
  const std::int64_t us = duration.count() / 1000;
  if (us % 1'000'000 == 0) return std::to_string(us / 1'000'000) + "s";
  if (us % 1000 == 0) return std::to_string(us / 1000) + "ms";
  return std::to_string(us) + "us";
}

std::string PrintSize(std::uint64_t bytes) {
  std::string_view name = "B";
  std::uint64_t factor = 1;
  for (const Unit& unit : kSizeUnits) {
    if (bytes == 0 || bytes % unit.factor != 0) break;
    name = unit.name;
    factor = unit.factor;
  }
  return std::to_string(bytes / factor).append(name);
}

std::string PrintRate(std::uint64_t bytes_per_second) { return PrintSize(bytes_per_second) + "/s"; }

std::string PrintNumber(double number) {
  char buffer[400];  // the longest finite double in fixed notation has 309 digits before the point
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, number, std::chars_format::fixed);
  return error == std::errc{} ? std::string(buffer, end) : std::string("0");
}

}  // namespace penstock
