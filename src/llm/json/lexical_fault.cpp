#include <cstddef>
#include <cstdint>

#include "llm/json/string.hpp"
#include "llm/json/structural_index.hpp"

namespace penstock::llm::json {

Fault LocateLexicalFault(std::string_view text) {
  const std::size_t bad_utf8 = FindInvalidUtf8(text);
  bool in_string = false;
  std::size_t opened = 0;
  for (std::size_t i = 0; i < text.size() && i < bad_utf8; ++i) {
    const char c = text[i];
    if (!in_string) {
      if (c == '"') {
        in_string = true;
        opened = i;
      } else if (c == '\\') {
        ++i;  // stage 1 takes the next quote as escaped wherever the backslash is
      }
    } else if (c == '"') {
      in_string = false;
    } else if (c == '\\') {
      ++i;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      return {ErrorCode::kInvalidJson, "an unescaped control character in a string", static_cast<std::uint32_t>(i)};
    }
  }
  if (bad_utf8 < text.size()) return {ErrorCode::kInvalidJson, "invalid UTF-8", static_cast<std::uint32_t>(bad_utf8)};
  return {ErrorCode::kInvalidJson, in_string ? "a string without its closing quote" : "not a JSON text",
          static_cast<std::uint32_t>(in_string ? opened : 0)};
}

}  // namespace penstock::llm::json
