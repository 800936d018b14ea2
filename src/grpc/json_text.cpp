#include "grpc/json_text.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "grpc/base64.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::grpc {
namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kNumberMax = 32;       // characters of any number that to_chars writes
constexpr std::size_t kEscapeMax = 6;        // \u001f
constexpr double kExactMax = 0x1p53;         // below it every integer is a double
constexpr double kIntegerTokenMax = 0x1p63;  // beyond it a number without a point or an exponent is no integer

using Block = unsigned char __attribute__((vector_size(kBlock)));
using Words = std::uint64_t __attribute__((vector_size(kBlock)));

/// All ones where a byte must be escaped.
Words Escapes(Block block) noexcept {
  return reinterpret_cast<Words>((block < 0x20) | (block == '"') | (block == '\\'));
}
/// The first of them; kBlock: none.
std::size_t FirstOf(Words hits) noexcept {
  if (hits[0] != 0) return static_cast<std::size_t>(std::countr_zero(hits[0])) / 8;
  return 8 + static_cast<std::size_t>(std::countr_zero(hits[1])) / 8;
}

char* WriteEscape(char* to, char c) noexcept {
  static constexpr char kDigits[] = "0123456789abcdef";
  static constexpr char kLetters[] = "btn-fr";  // U+0008 to U+000D; U+000B has none
  const auto byte = static_cast<unsigned char>(c);
  *to++ = '\\';
  if (byte >= 0x20) {
    *to++ = c;
  } else if (byte >= '\b' && byte <= '\r' && byte != '\v') {
    *to++ = kLetters[byte - '\b'];
  } else {
    std::memcpy(to, "u00", 3);
    to[3] = kDigits[byte >> 4];
    to[4] = kDigits[byte & 15];
    to += 5;
  }
  return to;
}

template <class Real>
void WriteRealOf(ByteWriter& out, Real value) {
  if (std::fabs(value) < kExactMax && value == std::trunc(value) && !(value == 0 && std::signbit(value))) {
    return WriteInteger(out, static_cast<std::int64_t>(value));
  }
  char* const to = out.Room(kNumberMax);
  // A double may be shortest as an integer that no integer type holds, which readers of JSON refuse.
  const bool huge = std::fabs(value) >= static_cast<Real>(kIntegerTokenMax);
  out.AdvanceTo(huge ? std::to_chars(to, to + kNumberMax, value, std::chars_format::scientific).ptr
                     : std::to_chars(to, to + kNumberMax, value).ptr);
}

}  // namespace

bool WriteQuoted(ByteWriter& out, std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  char* to = out.Room(text.size() + kBlock + 2);
  *to++ = '"';
  Block seen{};
  while (at != end) {
    const std::size_t left = std::min(static_cast<std::size_t>(end - at), kBlock);
    Block block = Block{} + ' ';
    if (left == kBlock) {
      std::memcpy(&block, at, kBlock);
    } else {
      std::memcpy(&block, at, left);
    }
    std::memcpy(to, &block, kBlock);
    seen |= block;
    const Words hits = Escapes(block);
    if ((hits[0] | hits[1]) == 0) {
      at += left;
      to += left;
      continue;
    }
    const std::size_t plain = FirstOf(hits);
    at += plain;
    out.AdvanceTo(to + plain);
    to = WriteEscape(out.Room(static_cast<std::size_t>(end - at) + kBlock + kEscapeMax + 2), *at);
    ++at;
  }
  *to++ = '"';
  out.AdvanceTo(to);
  const auto high = reinterpret_cast<Words>(seen & 0x80);
  return (high[0] | high[1]) == 0 || llm::IsUtf8(text);
}

void WriteInteger(ByteWriter& out, std::int64_t value) {
  char* const to = out.Room(kNumberMax);
  out.AdvanceTo(std::to_chars(to, to + kNumberMax, value).ptr);
}

void WriteUnsigned(ByteWriter& out, std::uint64_t value) {
  char* const to = out.Room(kNumberMax);
  out.AdvanceTo(std::to_chars(to, to + kNumberMax, value).ptr);
}

void WriteReal(ByteWriter& out, double value) { WriteRealOf(out, value); }
void WriteReal(ByteWriter& out, float value) { WriteRealOf(out, value); }

void WriteBytes(ByteWriter& out, std::string_view bytes) {
  const std::size_t size = Base64Size(bytes.size());
  char* to = out.Room(size + 4);
  *to++ = '"';
  to = WriteBase64(bytes, to);
  for (std::size_t i = size; i % 4 != 0; ++i) *to++ = '=';
  *to++ = '"';
  out.AdvanceTo(to);
}

char* ReadBytes(std::string_view text, char* to) noexcept {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  return ReadBase64(text, to);
}

}  // namespace penstock::grpc
