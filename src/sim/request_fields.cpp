#include "sim/request_fields.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace penstock::sim {
namespace {

/// A place in JSON text; every step says whether it could be taken.
class Cursor {
 public:
  explicit Cursor(std::string_view text) noexcept : at_(text.data()), end_(text.data() + text.size()) {}

  bool AtEnd() noexcept {
    SkipSpace();
    return at_ == end_;
  }
  bool Take(char c) noexcept {
    SkipSpace();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  char Next() noexcept {
    SkipSpace();
    return at_ == end_ ? '\0' : *at_;
  }
  /// `text`: between the quotes, as written.
  bool String(std::string_view& text) noexcept {
    if (!Take('"')) return false;
    const char* begin = at_;
    while (const void* quote = std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_))) {
      const char* close = static_cast<const char*>(quote);
      const char* slash = close;
      while (slash != begin && slash[-1] == '\\') --slash;
      at_ = close + 1;
      if ((close - slash) % 2 == 0) {
        text = {begin, static_cast<std::size_t>(close - begin)};
        return true;
      }
    }
    at_ = end_;
    return false;
  }
  /// Any value; `raw` is its text, quotes and brackets included.
  bool Value(std::string_view& raw) noexcept {
    const char first = Next();
    const char* begin = at_;
    bool ok = false;
    if (first == '"') {
      std::string_view text;
      ok = String(text);
    } else if (first == '{' || first == '[') {
      ok = Nested();
    } else {
      ok = Literal();
    }
    raw = {begin, static_cast<std::size_t>(at_ - begin)};
    return ok;
  }

 private:
  void SkipSpace() noexcept {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool Nested() noexcept {
    std::size_t depth = 0;
    while (at_ != end_) {
      const char c = *at_;
      if (c == '"') {
        std::string_view text;
        if (!String(text)) return false;
        continue;
      }
      ++at_;
      if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        if (--depth == 0) return true;
      }
    }
    return false;
  }
  bool Literal() noexcept {
    const char* begin = at_;
    while (at_ != end_ && (std::strchr("+-.", *at_) != nullptr || (*at_ >= '0' && *at_ <= '9') ||
                           (*at_ >= 'a' && *at_ <= 'z') || *at_ == 'E')) {
      if (*at_ == '\0') return false;
      ++at_;
    }
    const std::string_view text(begin, static_cast<std::size_t>(at_ - begin));
    if (text.empty()) return false;
    if (text[0] >= 'a' && text[0] <= 'z') return text == "true" || text == "false" || text == "null";
    return true;
  }

  const char* at_;
  const char* end_;
};

template <class Number>
Number ToNumber(std::string_view raw, Number otherwise) noexcept {
  Number value{};
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  return error == std::errc{} ? value : otherwise;
}

std::string_view Unquoted(std::string_view raw) noexcept {
  return raw.size() >= 2 && raw.front() == '"' ? raw.substr(1, raw.size() - 2) : std::string_view{};
}

bool IncludeUsage(std::string_view options) noexcept {
  Cursor cursor(options);
  if (!cursor.Take('{')) return false;
  std::string_view key, raw;
  while (cursor.String(key) && cursor.Take(':') && cursor.Value(raw)) {
    if (key == "include_usage") return raw == "true";
    if (!cursor.Take(',')) break;
  }
  return false;
}

void Assign(RequestFields& fields, std::string_view key, std::string_view raw) noexcept {
  switch (key.size()) {
    case 1:
      if (key == "n") fields.n = std::clamp(ToNumber<std::uint32_t>(raw, 1), 1u, kChoicesMax);
      break;
    case 4:
      if (key == "seed") fields.seed = ToNumber<std::uint64_t>(raw, 0);
      break;
    case 5:
      if (key == "model") fields.model = Unquoted(raw);
      if (key == "input") fields.prompt = fields.inputs = raw;
      if (key == "query") fields.prompt = raw;
      break;
    case 6:
      if (key == "prompt") fields.prompt = fields.inputs = raw;
      if (key == "stream") fields.stream = raw == "true";
      if (key == "text_2") fields.inputs = raw;
      if (key == "tokens") fields.prompt = fields.inputs = raw;
      break;
    case 7:
      if (key == "content") fields.prompt = fields.inputs = raw;
      break;
    case 8:
      if (key == "messages") fields.prompt = raw;
      if (key == "logprobs") fields.logprobs = raw != "false" && raw != "null";
      break;
    case 9:
      if (key == "documents") fields.inputs = raw;
      break;
    case 10:
      if (key == "max_tokens") fields.max_tokens = ToNumber<std::uint32_t>(raw, 0);
      break;
    case 14:
      if (key == "stream_options") fields.include_usage = IncludeUsage(raw);
      break;
    case 15:
      if (key == "encoding_format") fields.base64 = raw == "\"base64\"";
      break;
    case 17:
      if (key == "max_output_tokens") fields.max_tokens = ToNumber<std::uint32_t>(raw, 0);
      break;
    case 22:
      if (key == "continue_final_message") fields.continues = raw == "true";
      break;
    case 21:
      if (key == "max_completion_tokens") fields.max_tokens = ToNumber<std::uint32_t>(raw, 0);
      break;
    default: break;
  }
}

}  // namespace

RequestFields ScanRequest(std::string_view body) noexcept {
  RequestFields fields;
  Cursor cursor(body);
  if (!cursor.Take('{')) return fields;
  if (cursor.Take('}')) {
    fields.whole = cursor.AtEnd();
    return fields;
  }
  std::string_view key, raw;
  while (cursor.String(key) && cursor.Take(':') && cursor.Value(raw)) {
    Assign(fields, key, raw);
    if (cursor.Take(',')) continue;
    fields.whole = cursor.Take('}') && cursor.AtEnd();
    break;
  }
  return fields;
}

LastMessage FindLastMessage(std::string_view messages) noexcept {
  LastMessage last;
  Cursor cursor(messages);
  if (!cursor.Take('[')) return last;
  std::string_view message, raw, key;
  while (cursor.Value(raw)) {
    message = raw;
    if (!cursor.Take(',')) break;
  }
  if (message.empty()) return last;
  last.before = messages.substr(0, static_cast<std::size_t>(message.data() - messages.data()));
  last.before.remove_suffix(last.before.size() - 1 - last.before.find_last_not_of(", \t\r\n"));
  Cursor fields(message);
  if (!fields.Take('{')) return last;
  while (fields.String(key) && fields.Take(':') && fields.Value(raw)) {
    if (key == "role") last.assistant = raw == "\"assistant\"";
    if (key == "content") last.content = Unquoted(raw);
    if (!fields.Take(',')) break;
  }
  return last;
}

std::uint32_t CountInputs(std::string_view value) noexcept {
  Cursor cursor(value);
  if (!cursor.Take('[')) return 1;
  if (cursor.Next() != '"' && cursor.Next() != '[' && cursor.Next() != '{') return 1;
  std::uint32_t count = 0;
  std::string_view raw;
  while (count < kInputsMax && cursor.Value(raw)) {
    ++count;
    if (!cursor.Take(',')) break;
  }
  return std::max(count, 1u);
}

}  // namespace penstock::sim
