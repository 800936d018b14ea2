#pragma once

#include <cstdint>

namespace penstock::test {

/// Calls of malloc and operator new in this program so far, by every thread.
std::uint64_t HeapCallsSoFar() noexcept;

}  // namespace penstock::test
