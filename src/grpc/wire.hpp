#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace penstock::grpc {

/// Protobuf's wire format (https://protobuf.dev/programming-guides/encoding).
enum class Wire : std::uint8_t { kVarint = 0, kFixed64 = 1, kLength = 2, kGroup = 3, kGroupEnd = 4, kFixed32 = 5 };

inline constexpr std::size_t kVarintMax = 10;  ///< bytes
inline constexpr std::size_t kTagMax = 5;      ///< bytes of a tag

static_assert(std::endian::native == std::endian::little, "fixed-size values are copied as they lie");

/// Borrowed bytes of a message, or a piece of one.
struct Piece {
  const char* begin = nullptr;
  const char* end = nullptr;

  std::size_t size() const noexcept { return static_cast<std::size_t>(end - begin); }
};

/// Reads a varint of at most `size_max` bytes: where it ends, or null. Bits beyond 64 are lost, as protobuf has it.
inline const char* ReadVarint(const char* at, const char* end, std::uint64_t& value,
                              std::size_t size_max = kVarintMax) noexcept {
  if (at != end && static_cast<signed char>(*at) >= 0) {
    value = static_cast<unsigned char>(*at);
    return at + 1;
  }
  value = 0;
  for (std::size_t i = 0; i < size_max && at != end; ++i) {
    const auto byte = static_cast<unsigned char>(*at++);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) return at;
  }
  return nullptr;
}

inline const char* ReadTag(const char* at, const char* end, std::uint32_t& tag) noexcept {
  std::uint64_t value = 0;
  at = ReadVarint(at, end, value, kTagMax);
  if (at == nullptr || value > UINT32_MAX) return nullptr;
  tag = static_cast<std::uint32_t>(value);
  return at;
}

/// The payload of a length-delimited value, or {null, null}.
inline Piece ReadLength(const char* at, const char* end) noexcept {
  std::uint64_t size = 0;
  at = ReadVarint(at, end, size);
  if (at == nullptr || size > static_cast<std::uint64_t>(end - at)) return {};
  return {at, at + size};
}

/// Where the value at `at` ends, or null. A group is walked to its end; `depth` levels of groups may be inside each
/// other.
const char* SkipValue(const char* at, const char* end, std::uint32_t tag, std::uint32_t depth) noexcept;

inline std::size_t VarintSize(std::uint64_t value) noexcept {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}
inline char* WriteVarint(char* to, std::uint64_t value) noexcept {
  for (; value >= 0x80; value >>= 7) *to++ = static_cast<char>(value | 0x80);
  *to++ = static_cast<char>(value);
  return to;
}
inline std::int64_t UnZigZag(std::uint64_t value) noexcept {
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}
inline std::uint64_t ZigZag(std::int64_t value) noexcept {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

}  // namespace penstock::grpc
