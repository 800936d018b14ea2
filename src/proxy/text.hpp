#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"
#include "penstock/mem/chain.hpp"

namespace penstock::proxy {

/// Equal but for the case of `text`'s letters; `lower` has none in upper case.
inline bool EqualsLower(std::string_view text, std::string_view lower) noexcept {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + 32) : x) == y; });
}

/// All of `chain` in one piece, which it nearly always is (less than a chunk, or a cached answer); `scratch` is used
/// when it is not.
inline std::string_view InOnePiece(const Chain& chain, std::string& scratch) {
  const std::string_view front = chain.Front();
  if (front.size() == chain.size()) return front;
  scratch.clear();
  scratch.reserve(chain.size());
  chain.ForEach([&scratch](std::string_view piece) { scratch += piece; });
  return scratch;
}

/// A number as text, on the stack.
class Decimal {
 public:
  explicit Decimal(std::uint64_t value) noexcept {
    end_ = std::to_chars(text_.data(), text_.data() + text_.size(), value).ptr;
  }
  std::string_view view() const noexcept { return {text_.data(), static_cast<std::size_t>(end_ - text_.data())}; }

 private:
  std::array<char, 20> text_;
  char* end_;
};

/// "gw;dur=0.1, upstream;dur=12.3": milliseconds with one decimal, on the stack (W3C Server Timing).
class ServerTiming {
 public:
  ServerTiming(Duration gateway, Duration upstream) noexcept {
    Put("gw;dur=");
    PutMilliseconds(gateway);
    Put(", upstream;dur=");
    PutMilliseconds(upstream);
  }
  std::string_view view() const noexcept { return {text_.data(), static_cast<std::size_t>(end_ - text_.data())}; }

 private:
  void Put(std::string_view text) noexcept {
    for (const char c : text) *end_++ = c;
  }
  void PutMilliseconds(Duration duration) noexcept {
    const std::uint64_t tenths = duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) / 100'000 : 0;
    end_ = std::to_chars(end_, text_.data() + text_.size(), tenths / 10).ptr;
    *end_++ = '.';
    *end_++ = static_cast<char>('0' + tenths % 10);
  }

  std::array<char, 72> text_;
  char* end_ = text_.data();
};

/// 32 hexadecimal digits at `to`.
inline void WriteRandomId(Prng& prng, char* to) noexcept {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int half = 0; half < 2; ++half) {
    std::uint64_t bits = prng.Next();
    for (int i = 0; i < 16; ++i, bits >>= 4) *to++ = kDigits[bits & 15];
  }
}

}  // namespace penstock::proxy
