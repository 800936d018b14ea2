#pragma once

#include <optional>
#include <string_view>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// How long an upstream asked to be left alone, as it said it: each consumer applies its own cap (an endpoint
/// rests at most 60 s, a client is told at most 60). Parsed once, at the edge.
///
/// `retry_after` is RFC 9110 10.2.3: seconds, or an HTTP-date in any of its three forms (5.6.7), of which
/// `now` is subtracted; a date gone by is zero. `retry_after_ms` (milliseconds) wins where it is valid, as in
/// the OpenAI and Anthropic SDKs. Both take a fraction, as those SDKs do. A null view is an absent field.
/// None for anything that is neither: `abc`, `-1`, `1e9`, an impossible date. Never more than kRetryAfterMax.
std::optional<Duration> ParseRetryAfter(std::string_view retry_after, std::string_view retry_after_ms,
                                        WallTime now) noexcept;

/// Where a value saturates: 30 years, well inside Duration.
inline constexpr Duration kRetryAfterMax = std::chrono::seconds(1'000'000'000);

}  // namespace penstock::policy
