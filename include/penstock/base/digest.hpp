#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

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

/// 64 lower-case hexadecimal digits.
std::string ToHex(const Digest& digest);
/// Nothing unless `text` is 64 hexadecimal digits of either case.
std::optional<Digest> DigestFromHex(std::string_view text) noexcept;

/// Owned by one Worker. SHA-256 (FIPS 180-4) by OpenSSL, which uses the processor's SHA extensions. Used again and
/// again: after construction no digest costs an allocation.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::string_view bytes) noexcept;
  /// The digest of everything since the last one.
  Digest Finish() noexcept;

 private:
  evp_md_ctx_st* context_;
};

}  // namespace penstock
