#pragma once

#include <cstdint>

namespace penstock {

/// Calls of operator new in this program so far. Single-threaded benches only.
std::uint64_t AllocationCount() noexcept;

}  // namespace penstock
