#pragma once

#include <cstdint>

namespace penstock::llm {

/// Token counts as an upstream reported them.
struct Usage {
  bool known = false;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t cached_tokens = 0;  ///< part of prompt_tokens that a prefix cache served
};

/// Why a choice ended, over all families: Anthropic's end_turn and stop_sequence are kStop, tool_use is
/// kToolCalls, max_tokens is kLength; a Responses status completed is kStop, incomplete kLength.
enum class FinishReason : std::uint8_t {
  kNone,
  kStop,
  kLength,
  kToolCalls,
  kFunctionCall,
  kContentFilter,
  kAbort,
  kOther
};

constexpr std::uint8_t Bit(FinishReason reason) {
  return static_cast<std::uint8_t>(1u << static_cast<unsigned>(reason));
}
/// An answer whose choices all ended in one of these may be cached.
inline constexpr std::uint8_t kProperFinishes =
    Bit(FinishReason::kStop) | Bit(FinishReason::kToolCalls) | Bit(FinishReason::kFunctionCall);

}  // namespace penstock::llm
