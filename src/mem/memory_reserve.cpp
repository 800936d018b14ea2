#include "penstock/mem/memory_reserve.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

namespace penstock {
namespace {

// The new-handler has no other way to them.
std::array<std::atomic<void*>, MemoryReserve::kParts> g_parts;
std::atomic<std::size_t> g_taken{0};

void* Map() noexcept {
  void* const part =
      ::mmap(nullptr, MemoryReserve::kPartBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return part == MAP_FAILED ? nullptr : part;
}

void TakeOne() {
  for (std::atomic<void*>& each : g_parts) {
    void* const part = each.exchange(nullptr);
    if (part == nullptr) continue;
    ::munmap(part, MemoryReserve::kPartBytes);
    g_taken.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  constexpr std::string_view kLast = "penstock: out of memory, and the reserve is used up: aborting\n";
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, kLast.data(), kLast.size());
  std::abort();
}

}  // namespace

void MemoryReserve::Install() {
  Refill();
  std::set_new_handler(TakeOne);
}

std::size_t MemoryReserve::Refill() {
  for (std::atomic<void*>& each : g_parts) {
    if (each.load(std::memory_order_relaxed) == nullptr) each.store(Map());
  }
  return g_taken.exchange(0, std::memory_order_relaxed);
}

}  // namespace penstock
