#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

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

/// A digest as 64 lower-case hexadecimal digits, no terminator.
using DigestHex = std::array<char, 64>;
DigestHex ToHex(const Digest& digest) noexcept;
/// The same digits in a string.
std::string HexString(const Digest& digest);
/// Exactly 64 hexadecimal digits of either case; nothing otherwise.
std::optional<Digest> ParseDigest(std::string_view hex) noexcept;

/// Owned by one Worker. SHA-256 (FIPS 180-4) in pieces, by OpenSSL, which uses the CPU's SHA extensions. Nothing is
/// allocated. Copying one copies its state: what many digests begin with need be added once only.
class Sha256 {
 public:
  Sha256() noexcept;

  /// Not more than 2^61 - 1 bytes in all.
  void Add(std::string_view bytes) noexcept;
  /// The digest of what was added; then begins anew.
  Digest Finish() noexcept;

  static Digest Of(std::string_view bytes) noexcept;

 private:
  alignas(8) std::array<std::byte, 112> state_;  ///< OpenSSL's own struct, which this header does not show
};

}  // namespace penstock
