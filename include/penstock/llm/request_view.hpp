#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "penstock/base/result.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

struct ByteSink;

/// Where a value lies in the body, quotes and brackets included. size 0: the field is absent (or null, except
/// where said otherwise).
struct Span {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;

  explicit operator bool() const noexcept { return size != 0; }
  std::string_view In(std::string_view body) const noexcept { return body.substr(begin, size); }
};

/// Limits of J-11. Backends know better what else they do not like.
inline constexpr std::uint32_t kModelNameMax = 256;  ///< decoded bytes
inline constexpr std::int64_t kMaxTokensMax = std::int64_t{1} << 31;
inline constexpr std::int64_t kChoicesMax = 128;  ///< `n`
inline constexpr std::uint32_t kStopMax = 16;     ///< stop sequences

/// Owned by one Worker. What the gateway wants to know of a request's body, after every byte of it was
/// checked: valid UTF-8 and JSON, no key twice in any object, no lone surrogate, no number that a double
/// cannot hold, depth bounded, nothing behind the root. Fields that the gateway does not know are not looked
/// at. Borrows `body`, which must stay where it is while this lives; freely copied.
class RequestView {
 public:
  Family family = Family::kChat;
  std::string_view body;
  std::uint32_t end = 0;  ///< offset of the closing } of the body: where a field can be spliced in
  bool empty = false;     ///< the body is an object without fields

  Span model_token;   ///< with its quotes, to be replaced by an upstream's name
  Span stream_token;  ///< also when null
  bool stream = false;
  Span stream_options;                ///< also when null
  bool stream_options_empty = false;  ///< `{}`
  Span include_usage_token;           ///< also when null
  bool include_usage = false;

  Span user;                       ///< with its quotes, escapes as sent
  Span prompt;                     ///< the value of messages, prompt or input, for size estimates and digests
  std::uint32_t prompt_items = 0;  ///< messages, or independent prompts / inputs (1 for a plain string)

  std::optional<double> temperature;
  bool has_seed = false;
  std::uint32_t n = 1;
  std::uint32_t max_tokens = 0;  ///< max_tokens, max_completion_tokens or max_output_tokens; 0: not given

  /// Decoded; may contain any character, U+0000 included. Empty when the family does not need one and none
  /// was given.
  std::string_view model() const noexcept {
    return model_decoded_ ? std::string_view{model_storage_.data(), model_size_}
                          : body.substr(model_token.begin + 1, model_size_);
  }
  /// How many choices the answer will have: n for each independent prompt.
  std::uint32_t choices() const noexcept { return family == Family::kCompletions ? n * prompt_items : n; }

 private:
  friend class RequestReader;
  friend bool WriteCanonicalBody(const RequestView& request, JsonParser& parser, ByteSink sink);
  /// Which text of which parser this is, so that its index can be used while it lasts.
  const JsonParser::Workspace* parser_ = nullptr;
  std::uint64_t text_ = 0;
  bool model_decoded_ = false;  ///< the name was written with escapes
  std::uint32_t model_size_ = 0;
  std::array<char, kModelNameMax> model_storage_;  // NOLINT: only the first model_size_ bytes are ever read
};

/// Reads a body once. No byte behind it need be readable. Errors: kInvalidJson and kDuplicateKey with the
/// byte offset, kInvalidParam with the field's name (null: the body is no object); none repeats bytes of the
/// body. Time is linear in the body; bodies over 1 MiB take milliseconds and belong off the event loop.
Result<RequestView> ParseRequest(Family family, std::string_view body, JsonParser& parser);

/// The same of a body that was written since parser.BeginNotes(), its tokens noted, its members in canonical order
/// (canonical_json.hpp) at every depth: nothing but its fields' own values, its size and its depth is checked.
Result<RequestView> ViewRequest(Family family, std::string_view body, JsonParser& parser);

}  // namespace penstock::llm
