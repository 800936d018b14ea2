#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::sim {

/// What a request's body says, as far as an answer depends on it. Views into the body.
struct RequestFields {
  bool whole = false;       ///< the body is one JSON object, as far as the scan can tell
  std::string_view model;   ///< without quotes, escapes left as they are
  std::string_view prompt;  ///< the raw JSON of messages, prompt, input, query or content
  std::string_view inputs;  ///< the raw JSON of input, prompt, documents or text_2, for counting
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
  bool base64 = false;           ///< encoding_format
  bool continues = false;        ///< continue_final_message: the last message is the answer's beginning
  std::uint32_t max_tokens = 0;  ///< 0 = not named
  std::uint32_t n = 1;           ///< 1..kChoicesMax
  std::uint64_t seed = 0;
};

inline constexpr std::uint32_t kChoicesMax = 16;
inline constexpr std::uint32_t kInputsMax = 2048;

/// One walk over the top level of a JSON object; nested values are skipped, not checked. Also for the beginning of a
/// body: what was found before the end is filled in, `whole` is false.
RequestFields ScanRequest(std::string_view body) noexcept;

/// The last of the messages.
struct LastMessage {
  std::string_view before;   ///< the raw JSON of those before it, from the opening bracket, without a comma at its end
  bool assistant = false;    ///< who says it
  std::string_view content;  ///< without quotes, escapes left as they are
};
LastMessage FindLastMessage(std::string_view messages) noexcept;

/// How many inputs a raw JSON value holds: one, unless it is an array of strings or arrays. At most kInputsMax.
std::uint32_t CountInputs(std::string_view value) noexcept;

}  // namespace penstock::sim
