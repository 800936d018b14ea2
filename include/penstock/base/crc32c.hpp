#pragma once

#include <cstdint>
#include <string_view>

namespace penstock {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by SSE 4.2 where the processor has it. Finds every burst of errors of
/// up to 32 bits; says nothing about who wrote the bytes. `before` continues a sum over what came in front.
std::uint32_t Crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;

/// The same by table: for the test, and for processors without the instruction.
std::uint32_t Crc32cByTable(std::string_view bytes, std::uint32_t before = 0) noexcept;

}  // namespace penstock
