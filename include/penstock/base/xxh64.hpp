#pragma once

#include <cstdint>
#include <string_view>

namespace penstock {

/// XXH64 as its specification defines it (xxhash_spec.md, version 0.2.0): the same in every process and on every
/// machine. Not against an attacker, who finds bytes of equal hash at will.
std::uint64_t Xxh64(std::string_view bytes, std::uint64_t seed) noexcept;

}  // namespace penstock
