#include "llm/json/string.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace penstock::llm::json {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

constexpr std::array<std::int8_t, 256> kHex = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (int i = 0; i < 10; ++i) table['0' + i] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) table['a' + i] = table['A' + i] = static_cast<std::int8_t>(10 + i);
  return table;
}();

/// The value of four hex digits at `p`, or -1.
int HexQuad(const char* p) noexcept {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = kHex[static_cast<unsigned char>(p[i])];
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}

bool IsHigh(int unit) noexcept { return unit >= 0xD800 && unit <= 0xDBFF; }
bool IsLow(int unit) noexcept { return unit >= 0xDC00 && unit <= 0xDFFF; }

/// The low half of a pair at raw[at], or -1.
int LowHalf(std::string_view raw, std::size_t at) noexcept {
  if (raw.size() - at < 6 || raw[at] != '\\' || raw[at + 1] != 'u') return -1;
  const int unit = HexQuad(raw.data() + at + 2);
  return IsLow(unit) ? unit : -1;
}

/// What the letter behind a backslash stands for; 0: it is no escape of one letter. A table, because escapes of
/// different kinds alternate in answers and a switch would be predicted wrongly.
constexpr std::array<char, 256> kSimpleEscapes = [] {
  std::array<char, 256> table{};
  table['"'] = '"';
  table['\\'] = '\\';
  table['/'] = '/';
  table['b'] = '\b';
  table['f'] = '\f';
  table['n'] = '\n';
  table['r'] = '\r';
  table['t'] = '\t';
  return table;
}();

char SimpleEscape(char c) noexcept { return kSimpleEscapes[static_cast<unsigned char>(c)]; }

std::size_t EncodeUtf8(std::uint32_t point, char* out) noexcept {
  const auto put = [&](std::size_t i, std::uint32_t byte) { out[i] = static_cast<char>(byte); };
  if (point < 0x80) return put(0, point), 1;
  if (point < 0x800) return put(0, 0xC0 | point >> 6), put(1, 0x80 | (point & 63)), 2;
  if (point < 0x10000) {
    return put(0, 0xE0 | point >> 12), put(1, 0x80 | (point >> 6 & 63)), put(2, 0x80 | (point & 63)), 3;
  }
  put(0, 0xF0 | point >> 18), put(1, 0x80 | (point >> 12 & 63));
  return put(2, 0x80 | (point >> 6 & 63)), put(3, 0x80 | (point & 63)), 4;
}

/// Decodes the \u escape at raw[at], moving `at` behind it.
std::uint32_t DecodeEscape(std::string_view raw, std::size_t& at) noexcept {
  const int unit = HexQuad(raw.data() + at + 2);
  at += 6;
  if (IsLow(unit)) return 0xFFFD;
  if (!IsHigh(unit)) return static_cast<std::uint32_t>(unit);
  const int low = LowHalf(raw, at);
  if (low < 0) return 0xFFFD;
  at += 6;
  return 0x10000u + (static_cast<std::uint32_t>(unit - 0xD800) << 10) + static_cast<std::uint32_t>(low - 0xDC00);
}

/// Size of the well-formed sequence at text[at], 0 when there is none (Unicode 15, table 3-7).
std::size_t SequenceSize(std::string_view text, std::size_t at) noexcept {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return tail(1) ? 2 : 0;
  if (lead < 0xF0) {
    const bool range = (lead != 0xE0 || byte(1) >= 0xA0) && (lead != 0xED || byte(1) < 0xA0);
    return range && tail(1) && tail(2) ? 3 : 0;
  }
  const bool range = (lead != 0xF0 || byte(1) >= 0x90) && (lead != 0xF4 || byte(1) < 0x90);
  return lead < 0xF5 && range && tail(1) && tail(2) && tail(3) ? 4 : 0;
}

using Block = unsigned char __attribute__((vector_size(16)));
using Words = std::uint64_t __attribute__((vector_size(16)));

/// Copies what stands before the next backslash, as far as there is room: the number of bytes. Looks and copies at
/// once, for escapes in an answer's text are seldom far apart.
std::size_t CopyPlain(std::string_view from, std::span<char> to) noexcept {
  const std::size_t size = std::min(from.size(), to.size());
  std::size_t at = 0;
  for (; size - at >= sizeof(Block); at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, from.data() + at, sizeof block);
    std::memcpy(to.data() + at, &block, sizeof block);
    const auto hits = reinterpret_cast<Words>(block == '\\');
    if (hits[0] != 0) return at + static_cast<std::size_t>(std::countr_zero(hits[0])) / 8;
    if (hits[1] != 0) return at + 8 + static_cast<std::size_t>(std::countr_zero(hits[1])) / 8;
  }
  for (; at != size && from[at] != '\\'; ++at) to[at] = from[at];
  return at;
}

}  // namespace

std::size_t FindBadEscape(std::string_view raw, std::size_t from, Escapes rule) noexcept {
  std::size_t at = from;
  for (;;) {
    const void* found = at < raw.size() ? std::memchr(raw.data() + at, '\\', raw.size() - at) : nullptr;
    if (found == nullptr) return kNone;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - raw.data());
    if (raw.size() - at < 2) return at;
    const std::size_t start = at;
    if (SimpleEscape(raw[at + 1]) != '\0') {
      at += 2;
      continue;
    }
    if (raw[at + 1] != 'u' || raw.size() - at < 6) return start;
    const int unit = HexQuad(raw.data() + at + 2);
    if (unit < 0) return start;
    at += 6;
    if (rule == Escapes::kGrammar) continue;
    if (IsLow(unit) || (IsHigh(unit) && LowHalf(raw, at) < 0)) return start;
    if (IsHigh(unit)) at += 6;
  }
}

std::size_t Unescape(std::string_view raw, std::span<char> out) noexcept {
  std::size_t written = 0;
  std::size_t at = 0;
  while (at < raw.size()) {
    const std::size_t plain = CopyPlain(raw.substr(at), out.subspan(written));
    written += plain;
    at += plain;
    if (at == raw.size()) break;
    if (raw[at] != '\\') return kNone;  // no room
    if (const char simple = SimpleEscape(raw[at + 1]); simple != '\0') {
      if (written == out.size()) return kNone;
      out[written++] = simple;
      at += 2;
      continue;
    }
    char encoded[4];
    const std::size_t n = EncodeUtf8(DecodeEscape(raw, at), encoded);
    if (n > out.size() - written) return kNone;
    std::memcpy(out.data() + written, encoded, n);
    written += n;
  }
  return written;
}

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  std::size_t run = 0;  // start of the bytes not yet copied
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const std::size_t n = c < 0x80 ? 1 : SequenceSize(text, i);
    if (c >= 0x20 && c != '"' && c != '\\' && n != 0) {
      i += n;
      continue;
    }
    out.append(text.substr(run, i - run));
    static constexpr char kDigits[] = "0123456789abcdef";
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += "\\u00";
      out += kDigits[c >> 4];
      out += kDigits[c & 15];
    }
    run = ++i;
  }
  out.append(text.substr(run));
  out += '"';
}

std::size_t FindInvalidUtf8(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t n = SequenceSize(text, at);
    if (n == 0) return at;
    at += n;
  }
  return text.size();
}

}  // namespace penstock::llm::json
