#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::redis {

inline constexpr std::uint16_t kSlots = 16384;

/// The slot of a key in Redis Cluster: CRC16 (XMODEM) of the key, or of its hash tag, the first non-empty text in
/// braces, modulo 16384 (Redis Cluster specification, "Key distribution model" and "Hash tags").
std::uint16_t KeySlot(std::string_view key) noexcept;

}  // namespace penstock::redis
