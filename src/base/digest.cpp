#include "penstock/base/digest.hpp"

#include <openssl/evp.h>

#include "penstock/base/assert.hpp"

namespace penstock {
namespace {

/// Fetched once: looking it up by name costs more than the digest of a short text.
const EVP_MD* Algorithm() {
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kSha256;
}

void Check(int result) { PENSTOCK_ASSERT(result == 1); }

int HexDigit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string ToHex(const Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.bytes.size());
  for (const std::uint8_t byte : digest.bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<Digest> DigestFromHex(std::string_view text) noexcept {
  Digest digest;
  if (text.size() != 2 * digest.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    const int high = HexDigit(text[2 * i]);
    const int low = HexDigit(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return digest;
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  PENSTOCK_ASSERT(context_ != nullptr && Algorithm() != nullptr);
  Check(EVP_DigestInit_ex2(context_, Algorithm(), nullptr));
}

Sha256::~Sha256() { EVP_MD_CTX_free(context_); }

void Sha256::Update(std::string_view bytes) noexcept { Check(EVP_DigestUpdate(context_, bytes.data(), bytes.size())); }

Digest Sha256::Finish() noexcept {
  Digest digest;
  Check(EVP_DigestFinal_ex(context_, digest.bytes.data(), nullptr));
  Check(EVP_DigestInit_ex2(context_, nullptr, nullptr));
  return digest;
}

}  // namespace penstock
