// OpenSSL's SHA256_* rather than EVP: in OpenSSL 3.0 every EVP_DigestInit_ex2 frees and allocates the algorithm's
// context, whether the EVP_MD was fetched once or not, and a cache hit may not allocate. Both end in the same assembly.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "penstock/base/digest.hpp"

#include <openssl/sha.h>

#include <new>

#include "penstock/base/assert.hpp"

namespace penstock {
namespace {

SHA256_CTX* Context(std::byte* state) noexcept { return std::launder(reinterpret_cast<SHA256_CTX*>(state)); }

/// The value of a hexadecimal digit, or -1.
int HexValue(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

DigestHex ToHex(const Digest& digest) noexcept {
  static constexpr char kDigits[] = "0123456789abcdef";
  DigestHex hex;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    hex[2 * i] = kDigits[digest.bytes[i] >> 4];
    hex[2 * i + 1] = kDigits[digest.bytes[i] & 15];
  }
  return hex;
}

std::string HexString(const Digest& digest) {
  const DigestHex hex = ToHex(digest);
  return {hex.data(), hex.size()};
}

std::optional<Digest> ParseDigest(std::string_view hex) noexcept {
  Digest digest;
  if (hex.size() != 2 * digest.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    const int high = HexValue(hex[2 * i]);
    const int low = HexValue(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return digest;
}

Sha256::Sha256() noexcept {
  static_assert(sizeof(SHA256_CTX) == sizeof state_ && alignof(SHA256_CTX) <= 8);
  PENSTOCK_ASSERT(SHA256_Init(new (state_.data()) SHA256_CTX) == 1);
}

void Sha256::Add(std::string_view bytes) noexcept { SHA256_Update(Context(state_.data()), bytes.data(), bytes.size()); }

Digest Sha256::Finish() noexcept {
  Digest digest;
  SHA256_Final(digest.bytes.data(), Context(state_.data()));
  SHA256_Init(Context(state_.data()));
  return digest;
}

Digest Sha256::Of(std::string_view bytes) noexcept {
  Sha256 sha;
  sha.Add(bytes);
  return sha.Finish();
}

}  // namespace penstock
