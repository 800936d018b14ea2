#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "penstock/base/digest.hpp"
#include "penstock/cache/envelope.hpp"

namespace penstock::cache {

/// Immutable. The key of an entry: a prefix with the envelope's version, so that versions live side by side, and the
/// digest in hexadecimal, so that people can read it.
class RedisKey {
 public:
  explicit RedisKey(const Digest& digest) noexcept {
    static_assert(kEnvelopeVersion == 2 && kPrefix.ends_with(":2:"));
    std::copy(kPrefix.begin(), kPrefix.end(), text_.begin());
    const DigestHex hex = ToHex(digest);
    std::copy(hex.begin(), hex.end(), text_.begin() + kPrefix.size());
  }
  std::string_view view() const noexcept { return {text_.data(), text_.size()}; }
  std::string_view hex() const noexcept { return view().substr(kPrefix.size()); }

 private:
  static constexpr std::string_view kPrefix = "penstock:2:";
  std::array<char, kPrefix.size() + 64> text_;
};

}  // namespace penstock::cache
