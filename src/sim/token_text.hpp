#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock::sim {

inline constexpr std::size_t kTokenTextMax = 24;

/// One step of SplitMix64 (Steele, Lea and Flood 2014).
constexpr std::uint64_t Mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// 64 bits of `bytes`; not for keys that an enemy chooses.
std::uint64_t HashBytes(std::string_view bytes, std::uint64_t seed) noexcept;

/// Writes the text of token `index` of the answer `seed` to `to` (kTokenTextMax bytes of room) and returns its size: a
/// word, a space before all but the first, a full stop now and then. Holds no byte that JSON escapes.
std::size_t WriteToken(char* to, std::uint64_t seed, std::uint32_t index) noexcept;

/// The whole answer of `tokens` tokens.
void AppendText(std::string& out, std::uint64_t seed, std::uint32_t tokens, std::uint32_t first = 0);

/// How many tokens of the answer `seed` are as long as `text`.
std::uint32_t CountTokens(std::string_view text, std::uint64_t seed) noexcept;

}  // namespace penstock::sim
