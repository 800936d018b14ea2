#include "penstock/policy/retry_after.hpp"

#include <algorithm>
#include <cstdint>

#include "policy/http_date.hpp"

namespace penstock::policy {

namespace {

/// 1*DIGIT [ "." 1*DIGIT ] units, saturating at kRetryAfterMax; digits beyond the nanosecond are dropped.
std::optional<Duration> ParseDecimal(std::string_view text, std::int64_t unit_ns) noexcept {
  const std::int64_t units_max = kRetryAfterMax.count() / unit_ns;
  std::int64_t units = 0;
  std::int64_t fraction_ns = 0;
  std::int64_t place_ns = unit_ns;
  std::size_t digits = 0;
  bool fraction = false;
  for (const char c : text) {
    if (c == '.') {
      if (fraction || digits == 0) return std::nullopt;
      fraction = true;
      digits = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    ++digits;
    if (fraction) {
      place_ns /= 10;
      fraction_ns += place_ns * (c - '0');
    } else {
      units = std::min(units * 10 + (c - '0'), units_max);
    }
  }
  if (digits == 0) return std::nullopt;
  return std::min(Duration(units * unit_ns + fraction_ns), kRetryAfterMax);
}

}  // namespace

std::optional<Duration> ParseRetryAfter(std::string_view retry_after, std::string_view retry_after_ms,
                                        WallTime now) noexcept {
  if (const auto ms = ParseDecimal(retry_after_ms, 1'000'000)) return ms;
  if (const auto seconds = ParseDecimal(retry_after, 1'000'000'000)) return seconds;
  const std::optional<WallTime> date = ParseHttpDate(retry_after, now);
  if (!date) return std::nullopt;
  const std::int64_t us = std::clamp<std::int64_t>(date->us - now.us, 0, kRetryAfterMax.count() / 1000);
  return Duration(us * 1000);
}

}  // namespace penstock::policy
