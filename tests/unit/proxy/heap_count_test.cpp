// Counts every allocation of the program, whoever makes it: AddressSanitizer tells its hooks, without it malloc is ours.
#include "unit/proxy/heap_count.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>

namespace {
std::atomic<std::uint64_t> calls{0};
}  // namespace

#ifdef __SANITIZE_ADDRESS__

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*, std::size_t),
                                                         void (*free_hook)(const volatile void*));
namespace {
const int kInstalled = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { calls.fetch_add(1, std::memory_order_relaxed); },
    [](const volatile void*) {});
}  // namespace

#else

// glibc's own; operator new calls malloc.
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* malloc(std::size_t size) {
  calls.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}

#endif

namespace penstock::test {

std::uint64_t HeapCallsSoFar() noexcept { return calls.load(std::memory_order_relaxed); }

namespace {

TEST(HeapCount, CountsBoth) {
  const std::uint64_t before = HeapCallsSoFar();
  std::free(std::malloc(100));  // NOLINT
  EXPECT_EQ(HeapCallsSoFar(), before + 1);
  auto made = std::make_unique<long>(1);
  EXPECT_EQ(HeapCallsSoFar(), before + 2);
}

}  // namespace
}  // namespace penstock::test
