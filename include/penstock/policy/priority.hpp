#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace penstock::policy {

/// How long a caller can wait: the order in which a queue serves and the reverse of that in which overload sheds.
/// Less is more urgent.
enum class Priority : std::uint8_t { kInteractive, kDefault, kBatch };

inline constexpr std::size_t kPriorities = 3;
inline constexpr std::array<std::string_view, kPriorities> kPriorityNames = {"interactive", "default", "batch"};

/// As `x-penstock-priority` spells it: exactly, in lower case. None for every other text; what to make of that (the
/// proxy takes kDefault, because a header that only asks for a favour is no reason to refuse) is the caller's affair.
constexpr std::optional<Priority> ParsePriority(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kPriorities; ++i) {
    if (text == kPriorityNames[i]) return static_cast<Priority>(i);
  }
  return std::nullopt;
}

constexpr std::string_view PriorityName(Priority priority) noexcept {
  return kPriorityNames[static_cast<std::size_t>(priority)];
}

/// A key may cap what its holder asks for: the less urgent of both.
constexpr Priority CappedPriority(Priority asked, Priority cap) noexcept { return std::max(asked, cap); }

}  // namespace penstock::policy
