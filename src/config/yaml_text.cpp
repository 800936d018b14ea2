#include "config/yaml_text.hpp"

namespace penstock::config {
namespace {

/// The length of the UTF-8 sequence at the front of `text`, 0 when it is none (Unicode 15, table 3-7).
std::size_t SequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto within = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return within(1, 0x80, 0xbf) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    return within(1, lead == 0xe0 ? 0xa0 : 0x80, lead == 0xed ? 0x9f : 0xbf) && within(2, 0x80, 0xbf) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    return within(1, lead == 0xf0 ? 0x90 : 0x80, lead == 0xf4 ? 0x8f : 0xbf) && within(2, 0x80, 0xbf) &&
                   within(3, 0x80, 0xbf)
               ? 4
               : 0;
  }
  return 0;
}

}  // namespace

std::optional<YamlError> CheckYamlText(std::string_view text) {
  Mark mark;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool line_end = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if ((c < 0x20 && c != '\t' && !line_end) || c == 0x7f) return YamlError{mark, "a control byte"};
    const std::size_t length = SequenceLength(text.substr(i));
    if (length == 0) return YamlError{mark, "a byte that is not UTF-8"};
    if (c == '\n') {
      mark = {mark.line + 1, 1};
    } else {
      mark.column += static_cast<std::uint32_t>(length);
    }
    i += length;
  }
  return std::nullopt;
}

}  // namespace penstock::config
