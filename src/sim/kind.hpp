#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock::sim {

/// Which server is imitated.
enum class Kind : std::uint8_t { kVllm, kSglang, kTgi, kLlamacpp, kTriton, kOllama, kOpenai };

/// What a request is for; decides the answer's JSON.
enum class Family : std::uint8_t {
  kChat,
  kCompletions,
  kResponses,
  kMessages,
  kCountTokens,
  kEmbeddings,
  kRerank,
  kScore,
  kTokenize,
  kDetokenize,
};

std::optional<Kind> ParseKind(std::string_view name) noexcept;

/// Immutable. How a kind differs on the wire from the others.
struct KindTraits {
  std::string_view name;
  std::string_view server;  ///< the Server field; empty = none
  std::string_view json_type = "application/json";
  std::string_view stream_type = "text/event-stream; charset=utf-8";
  std::uint16_t malformed_json = 400;
  std::uint16_t not_ready = 503;     ///< of the health path
  std::uint16_t overload = 503;      ///< at --max-concurrent
  std::uint32_t physical_batch = 0;  ///< tokens; an input of an embedding that is longer is answered with 500
  std::uint32_t max_tokens = 0;      ///< where the request names none; 0 = as many as the program says
  bool early_head = false;           ///< a stream's head leaves at once, not with the first result
  bool role_null = false;            ///< content is null in the role delta, not ""
  bool role_always = false;          ///< every delta carries the role
  bool closes_after_stream = false;  ///< although the head promised keep-alive
  bool closes_after_error = false;
  bool serves_any_model = false;
  bool keeps_abandoned = false;   ///< a non-stream request whose client left runs to its end and holds its slot
  bool done_after_error = false;  ///< an in-band error is followed by [DONE]
  bool swallows_errors = false;   ///< an error in a stream becomes an empty delta and a clean end
  bool timings = false;           ///< llama.cpp's timings object on the finish chunk
  bool cached_tokens = false;     ///< usage has prompt_tokens_details
};
const KindTraits& TraitsOf(Kind kind) noexcept;

/// The error body of `kind` for this status; `code` is used where the kind has string codes. On /v1/messages
/// Anthropic's shape.
std::string ErrorBody(Kind kind, Family family, std::uint16_t status, std::string_view message, std::string_view code);

/// Appends `text` as the inside of a JSON string.
void AppendEscaped(std::string& out, std::string_view text);
/// The same for any bytes: each above 0x7e becomes the code point of its value, so that a reader gets them back by
/// latin-1.
void AppendBytes(std::string& out, std::string_view bytes);

}  // namespace penstock::sim
