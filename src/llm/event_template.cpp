#include "penstock/llm/event_template.hpp"

#include <cstring>

#include "llm/json/string.hpp"

namespace penstock::llm {
namespace {

/// What may stand between quotes without an escape: checked byte by byte, for a token's text is short.
bool IsPlainText(std::string_view text) noexcept {
  unsigned seen = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || c == '"' || c == '\\') return false;
    seen |= byte;
  }
  return seen < 0x80 || json::FindInvalidUtf8(text) == text.size();
}

}  // namespace

void EventTemplate::Learn(std::string_view data, std::string_view text) noexcept {
  Forget();
  if (data.size() - text.size() > kBytesMax) return;
  prefix_ = static_cast<std::uint32_t>(text.data() - data.data());
  suffix_ = static_cast<std::uint32_t>(data.size() - text.size()) - prefix_;
  std::memcpy(bytes_.data(), data.data(), prefix_);
  std::memcpy(bytes_.data() + prefix_, text.data() + text.size(), suffix_);
}

bool EventTemplate::Matches(std::string_view data) const noexcept {
  const std::size_t fixed = prefix_ + suffix_;
  if (prefix_ == 0 || data.size() <= fixed) return false;
  return std::memcmp(data.data(), bytes_.data(), prefix_) == 0 &&
         std::memcmp(data.data() + data.size() - suffix_, bytes_.data() + prefix_, suffix_) == 0 &&
         IsPlainText(data.substr(prefix_, data.size() - fixed));
}

}  // namespace penstock::llm
