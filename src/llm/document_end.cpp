#include "penstock/llm/document_end.hpp"

namespace penstock::llm {

void DocumentEnd::Feed(std::string_view bytes) noexcept {
  for (const char c : bytes) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      begun_ = true;
      ++depth_;
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      --depth_;
    }
  }
}

}  // namespace penstock::llm
