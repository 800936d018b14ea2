#pragma once

#include <optional>
#include <string_view>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// An HTTP-date (RFC 9110 5.6.7) in any of its three forms: IMF-fixdate, RFC 850, asctime. Independent of the
/// locale. The name of the day must be one but is not held against the date. `now` settles the century of a
/// two-digit year: one that seems more than 50 years ahead lies in the past.
std::optional<WallTime> ParseHttpDate(std::string_view text, WallTime now) noexcept;

}  // namespace penstock::policy
