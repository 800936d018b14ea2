// Counts every allocation of the program, whoever makes it: the sanitizers tell their hooks, without them malloc is
// ours.
#include "unit/proxy/heap_count.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>

namespace {
std::atomic<std::uint64_t> calls{0};
}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

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
  void* volatile block = std::malloc(100);  // NOLINT: neither may be optimised away
  const std::uint64_t between = HeapCallsSoFar();
  auto* volatile made = new long(1);  // NOLINT
  const std::uint64_t after = HeapCallsSoFar();
  delete made;
  std::free(block);  // NOLINT
  EXPECT_EQ(between, before + 1);
  EXPECT_EQ(after, between + 1);
}

}  // namespace
}  // namespace penstock::test
