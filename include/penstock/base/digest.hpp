#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace penstock {

/// A SHA-256 digest. Always compared whole; `word()` gives shards and buckets bits of their own.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};

  friend bool operator==(const Digest&, const Digest&) = default;
  std::uint64_t word(unsigned index) const noexcept {
    std::uint64_t value;
    std::memcpy(&value, bytes.data() + 8 * index, sizeof value);
    return value;
  }
};

}  // namespace penstock
