#pragma once

#include <cstdint>

namespace penstock::llm {

/// The API an endpoint speaks: decides which fields a request must have, what its stream's events look like,
/// and how errors are shaped.
enum class Family : std::uint8_t {
  kChat,         ///< /v1/chat/completions
  kCompletions,  ///< /v1/completions
  kEmbeddings,   ///< /v1/embeddings
  kResponses,    ///< /v1/responses
  kMessages,     ///< /v1/messages
  kCountTokens,  ///< /v1/messages/count_tokens
  kRerank,       ///< /v1/rerank
  kScore,        ///< /v1/score
  kTokenize,     ///< /tokenize
  kDetokenize,   ///< /detokenize
};

/// Families whose errors have Anthropic's shape; all others have OpenAI's.
constexpr bool HasAnthropicErrors(Family family) {
  return family == Family::kMessages || family == Family::kCountTokens;
}
/// Families that can stream at all.
constexpr bool CanStream(Family family) {
  return family == Family::kChat || family == Family::kCompletions || family == Family::kResponses ||
         family == Family::kMessages;
}
/// Families whose streams take `stream_options.include_usage` and end with `data: [DONE]`.
constexpr bool HasDone(Family family) { return family == Family::kChat || family == Family::kCompletions; }

}  // namespace penstock::llm
