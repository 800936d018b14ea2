#include "penstock/policy/deadline.hpp"

#include <charconv>
#include <cstdint>

namespace penstock::policy {

std::optional<Duration> ParseTimeoutMs(std::string_view text) noexcept {
  std::uint64_t ms = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, ms);
  if (text.empty() || stop != end) return std::nullopt;
  constexpr std::uint64_t kMax = static_cast<std::uint64_t>(Duration::max().count()) / 1'000'000;
  if (error == std::errc::result_out_of_range || ms > kMax) return Duration::max();
  if (error != std::errc{} || ms == 0) return std::nullopt;
  return std::chrono::milliseconds(ms);
}

}  // namespace penstock::policy
