#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "penstock/llm/json_parser.hpp"

/// Reading JSON of any shape: what modules above this one use to walk an answer. A text is indexed and checked once,
/// then walked without another look at its grammar; nothing is copied and nothing is allocated after warm-up.
namespace penstock::llm::json {

/// Immutable. Borrowed view of an indexed text: where each token starts. Valid until the index it came from
/// is built again. `tokens[count] == size`, so that the end of token i is always found by looking back from i
/// + 1.
struct Document {
  const char* bytes = nullptr;
  std::uint32_t size = 0;
  const std::uint32_t* tokens = nullptr;  ///< ascending byte offsets of { } [ ] : , and of the start of each scalar
  std::uint32_t count = 0;
};

inline bool IsSpace(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Owned by one Worker. A place in a text that the Validator accepted: at the first token of a value. No call
/// checks the grammar again. Cheap to copy; a copy is a bookmark.
class Cursor {
 public:
  explicit Cursor(const Document& document) noexcept : document_(&document), token_(document.tokens) {}

  char first() const noexcept { return document_->bytes[*token_]; }
  bool is_object() const noexcept { return first() == '{'; }
  bool is_array() const noexcept { return first() == '['; }
  bool is_string() const noexcept { return first() == '"'; }
  bool is_null() const noexcept { return first() == 'n'; }
  bool is_true() const noexcept { return first() == 't'; }
  bool is_bool() const noexcept { return first() == 't' || first() == 'f'; }
  bool is_number() const noexcept { return first() == '-' || static_cast<unsigned>(first() - '0') < 10; }
  /// `[]`, `{}`, `""`.
  bool is_empty() const noexcept {
    return is_string() ? raw_string().empty()
                       : (is_object() || is_array()) && document_->bytes[token_[1]] == first() + 2;
  }

  std::uint32_t offset() const noexcept { return *token_; }
  /// The end of the value that the cursor just moved behind, if that was an object or array.
  const char* last_end() const noexcept { return document_->bytes + token_[-1] + 1; }
  /// A scalar's bytes, quotes included.
  std::string_view scalar() const noexcept {
    const char* const begin = document_->bytes + token_[0];
    const char* end = document_->bytes + token_[1];
    while (IsSpace(end[-1])) --end;
    return {begin, static_cast<std::size_t>(end - begin)};
  }
  /// A string's bytes between the quotes, escapes as written.
  std::string_view raw_string() const noexcept {
    const std::string_view token = scalar();
    return token.substr(1, token.size() - 2);
  }

  /// Moves behind the value: to the comma or closing bracket after it.
  void Skip() noexcept {
    const char open = first();
    ++token_;
    if (open != '{' && open != '[') return;
    for (std::uint32_t depth = 1; depth != 0; ++token_) {
      const char c = first();
      // [ ] { } are 5B 5D 7B 7D: no other token starts with such a byte, and bit 2 tells closing from
      // opening.
      if ((c & 0xD9) == 0x59) depth += (c & 4) != 0 ? ~std::uint32_t{0} : 1;
    }
  }
  /// The whole value's bytes; the cursor ends behind it.
  std::string_view Take() noexcept {
    const char* const begin = document_->bytes + token_[0];
    const bool container = is_object() || is_array();
    if (!container) {
      const std::string_view token = scalar();
      ++token_;
      return token;
    }
    Skip();
    return {begin, static_cast<std::size_t>(last_end() - begin)};
  }

  /// At an object: calls on_member(raw_key, Cursor& value) for each member; the cursor ends behind the object. What
  /// the callee moved behind is not walked again.
  template <class OnMember>
  void EachMember(OnMember&& on_member) {
    for (++token_; first() != '}';) {
      if (first() == ',') ++token_;
      const std::string_view key = raw_string();
      token_ += 2;
      Cursor value = *this;
      on_member(key, value);
      Pass(value);
    }
    ++token_;
  }
  /// At an array: calls on_element(Cursor&) for each element; the cursor ends behind the array.
  template <class OnElement>
  void EachElement(OnElement&& on_element) {
    for (++token_; first() != ']';) {
      if (first() == ',') ++token_;
      Cursor element = *this;
      on_element(element);
      Pass(element);
    }
    ++token_;
  }

 private:
  void Pass(const Cursor& value) noexcept {
    if (value.token_ == token_) return Skip();
    token_ = value.token_;
  }

  const Document* document_;
  const std::uint32_t* token_;
};

/// Decodes a raw string without wrong escapes into `out`; returns the decoded size, which never exceeds raw.size(), or
/// npos when `out` is too small. A lone surrogate becomes U+FFFD.
std::size_t Unescape(std::string_view raw, std::span<char> out) noexcept;

/// Of a number's token. An underflow is 0.
double NumberValue(std::string_view token) noexcept;
/// The exact value when the number is integral and within [-2^53, 2^53]: 16, 16.0 and 1.6e1 are the same.
std::optional<std::int64_t> IntegerValue(std::string_view token) noexcept;

}  // namespace penstock::llm::json

namespace penstock::llm {

/// A text of an upstream, checked against the grammar alone, as SDKs' parsers would take it: keys may repeat, numbers
/// may be beyond a double, surrogates may be alone. The cursor is at the root, valid until `parser` reads another
/// text. Nothing: it is not JSON. Time is linear in the text.
std::optional<json::Cursor> ReadJson(std::string_view text, JsonParser& parser);
/// When the cursor is no longer needed: gives memory back after an unusually large text.
void EndJson(JsonParser& parser);

/// Well-formed UTF-8 (RFC 3629), by the vector.
bool IsUtf8(std::string_view text) noexcept;

}  // namespace penstock::llm
