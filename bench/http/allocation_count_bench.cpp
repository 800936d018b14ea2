// Replaces operator new; in a file of its own, so that no optimiser sees through it.

#include "http/allocation_count.hpp"

#include <cstdlib>
#include <new>

namespace {
std::uint64_t g_count = 0;
}  // namespace

std::uint64_t penstock::AllocationCount() noexcept { return g_count; }

void* operator new(std::size_t size) {
  ++g_count;
  if (void* block = std::malloc(size); block != nullptr) return block;
  std::abort();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
