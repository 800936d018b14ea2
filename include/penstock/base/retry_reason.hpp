#pragma once

#include <cstdint>
#include <string_view>

namespace penstock {

/// Why another attempt is made: the classes of `retry.on`, and the label of penstock_retries_total. Here
/// because both the rule (policy) and the count (telemetry) name it, and neither knows the other.
enum class RetryReason : std::uint8_t { kConnect, kReset, kTimeout, kStatus };
inline constexpr std::size_t kRetryReasons = 4;

constexpr std::string_view RetryReasonName(RetryReason reason) noexcept {
  switch (reason) {
    case RetryReason::kConnect: return "connect";
    case RetryReason::kReset: return "reset";
    case RetryReason::kTimeout: return "timeout";
    case RetryReason::kStatus: return "status";
  }
  return "other";
}

}  // namespace penstock
