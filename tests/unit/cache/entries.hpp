#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "penstock/base/digest.hpp"
#include "penstock/base/prng.hpp"
#include "penstock/cache/entry.hpp"

namespace penstock::cache {

inline constexpr WallTime kNow{1'800'000'000'000'000};
inline constexpr std::int64_t kSecondUs = 1'000'000;

inline WallTime After(std::int64_t us) { return {kNow.us + us}; }

/// A digest with the bits of a real one: evenly spread, equal for equal numbers.
inline Digest DigestOf(std::uint64_t number) {
  Digest digest;
  Prng prng(number);
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint64_t word = prng.Next();
    std::memcpy(digest.bytes.data() + 8 * i, &word, sizeof word);
  }
  return digest;
}

/// Stored at kNow for five minutes.
inline Entry EntryWith(std::string_view bytes, std::uint64_t tenant = 1, std::uint64_t model = 1) {
  Entry entry;
  entry.bytes = SharedBytes::Copy(bytes);
  entry.scope = {tenant, model};
  entry.stored_at = kNow;
  entry.expires_at = After(300 * kSecondUs);
  return entry;
}

/// JSON-like text of this size that no two numbers share.
inline std::string TextOf(std::size_t size, std::uint64_t number) {
  std::string text = "{\"answer\":" + std::to_string(number);
  while (text.size() < size) text += ",\"content\":\"word " + std::to_string(text.size() % 997) + "\"";
  text.resize(size);
  return text;
}

}  // namespace penstock::cache
