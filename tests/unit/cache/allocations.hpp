#pragma once

#include <cstdint>

namespace penstock {

/// Calls of operator new in this program since it began, and the bytes they asked for.
std::uint64_t AllocationsSoFar() noexcept;
std::uint64_t AllocatedBytesSoFar() noexcept;

}  // namespace penstock
