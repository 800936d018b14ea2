#include "grpc/base64.hpp"

#include <array>
#include <cstdint>

namespace penstock::grpc {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr auto kValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  return values;
}();

}  // namespace

char* WriteBase64(std::string_view bytes, char* to) noexcept {
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (held += 8; held >= 6; held -= 6) *to++ = kAlphabet[bits >> (held - 6) & 63];
  }
  if (held != 0) *to++ = kAlphabet[bits << (6 - held) & 63];
  return to;
}

char* ReadBase64(std::string_view text, char* to) noexcept {
  if (text.size() % 4 == 1) return nullptr;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : text) {
    const std::int8_t six = kValues[static_cast<unsigned char>(c)];
    if (six < 0) return nullptr;
    bits = bits << 6 | static_cast<std::uint32_t>(six);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    *to++ = static_cast<char>(bits >> held);
  }
  return to;
}

}  // namespace penstock::grpc
