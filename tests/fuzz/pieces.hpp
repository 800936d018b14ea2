#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace penstock::fuzz {

/// Cuts `text` into pieces of 1 to `most` bytes, the same way for the same text, and gives each to `feed` as
/// a copy of exactly its size, so that a read beyond it is seen by the sanitizer.
template <class Feed>
void InPieces(std::string_view text, std::size_t most, Feed feed) {
  std::uint64_t state = 0x9e3779b97f4a7c15u + text.size();
  for (const char c : text.substr(0, 64)) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  while (!text.empty()) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const std::size_t n = std::min<std::size_t>(1 + (state >> 33) % most, text.size());
    const std::string piece(text.substr(0, n));
    feed(std::string_view(piece));
    text.remove_prefix(n);
  }
}

inline void RequireEqual(const std::string& whole, const std::string& split, const char* what) {
  if (whole == split) return;
  std::fprintf(stderr, "%s differ\n--- whole\n%s\n--- split\n%s\n", what, whole.c_str(), split.c_str());
  std::abort();
}

}  // namespace penstock::fuzz
