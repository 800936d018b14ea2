#include "sim/token_text.hpp"

#include <array>
#include <cstring>

namespace penstock::sim {
namespace {

constexpr std::uint32_t kSentence = 11;  // tokens between full stops

constexpr std::array<std::string_view, 64> kWords = {
    "water",   "flows", "through", "the",    "gate",   "and",      "turns",   "a",      "wheel",  "below", "while",
    "valley",  "light", "falls",   "on",     "stone",  "river",    "keeps",   "moving", "slowly", "under", "bridge",
    "morning", "wind",  "carries", "sound",  "of",     "machines", "that",    "wait",   "for",    "power", "each",
    "stream",  "finds", "its",     "level",  "before", "it",       "reaches", "open",   "sea",    "where", "small",
    "boats",   "rest",  "at",      "night",  "beside", "old",      "walls",   "built",  "from",   "clay",  "to",
    "hold",    "back",  "spring",  "floods", "until",  "summer",   "comes",   "again",  "quiet",
};

}  // namespace

std::uint64_t HashBytes(std::string_view bytes, std::uint64_t seed) noexcept {
  // Multiply and fold, 8 bytes a step, as wyhash does (Wang Yi, public domain).
  const auto fold = [](std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t hash = seed ^ 0xa0761d6478bd642f;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    hash = fold(hash ^ word, 0xe7037ed1a0b428db);
    bytes.remove_prefix(8);
  }
  std::uint64_t rest = bytes.size();
  for (const char c : bytes) rest = (rest << 8) | static_cast<unsigned char>(c);
  return Mix(hash ^ rest);
}

std::size_t WriteToken(char* to, std::uint64_t seed, std::uint32_t index) noexcept {
  const std::string_view word = kWords[Mix(seed + index) % kWords.size()];
  static_assert(kTokenTextMax >= 16);
  std::size_t size = 0;
  if (index != 0) to[size++] = ' ';
  std::memcpy(to + size, word.data(), word.size());
  size += word.size();
  if (index % kSentence == kSentence - 1) to[size++] = '.';
  return size;
}

void AppendText(std::string& out, std::uint64_t seed, std::uint32_t tokens, std::uint32_t first) {
  char token[kTokenTextMax];
  for (std::uint32_t i = 0; i < tokens; ++i) out.append(token, WriteToken(token, seed, first + i));
}

std::uint32_t CountTokens(std::string_view text, std::uint64_t seed) noexcept {
  char token[kTokenTextMax];
  std::uint32_t count = 0;
  for (std::size_t size = 0; size < text.size(); ++count) size += WriteToken(token, seed, count);
  return count;
}

}  // namespace penstock::sim
