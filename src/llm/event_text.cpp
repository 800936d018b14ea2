#include "llm/event_text.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "llm/json/string.hpp"

namespace penstock::llm {

void EventText::Put(std::string_view bytes) {
  fits_ = fits_ && bytes.size() <= bytes_max_ - (out_.size() - begin_);
  if (fits_) out_ += bytes;
}

void EventText::Open(std::string_view name) {
  if (!name.empty()) {
    Put("event: ");
    Put(name);
    Put("\n");
  }
  Put("data: {");
}

void EventText::Key(std::string_view key) {
  if (!fits_) return;
  if (out_.back() != '{') Put(",");
  Put("\"");
  Put(key);
  Put("\":");
}

void EventText::Count(std::string_view key, std::size_t value) {
  char digits[std::numeric_limits<std::size_t>::digits10 + 1];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
  Member(key, {digits, static_cast<std::size_t>(end - digits)});
}

void EventText::Value(std::string_view value) {
  // Strings contain no raw control characters, so that a line break is white space.
  while (!value.empty()) {
    const std::size_t line = std::min(value.find_first_of("\r\n"), value.size());
    Put(value.substr(0, line));
    value.remove_prefix(std::min(line + 1, value.size()));
  }
}

void EventText::Quoted(std::string_view text) {
  if (!fits_) return;
  json::AppendQuoted(out_, text);  // at most six bytes for one, of a text that is held already
  fits_ = out_.size() - begin_ <= bytes_max_;
}

}  // namespace penstock::llm
