#include "penstock/http/h2_memory.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "penstock/base/assert.hpp"

namespace penstock::http {
namespace {

constexpr std::size_t kSmallestClass = 32;
constexpr std::size_t kLargePlus = 64;  ///< what classes above 512 B have on top of their power of two: nghttp2 asks
                                        ///< for 1024, 4096 and 16394 bytes per session
constexpr std::size_t kLargeFrom = 512;
constexpr std::uint32_t kOversize = 0xff;

/// In front of every block; 16 bytes keep what follows aligned as malloc would.
struct alignas(16) Header {
  std::size_t capacity;  ///< of the block behind the header
  std::uint32_t size_class;
};
constexpr std::size_t kHeaderBytes = sizeof(Header);

std::uint32_t ClassOf(std::size_t size) noexcept {
  if (size > kLargeFrom) size = std::max(size - kLargePlus, kLargeFrom + 1);
  return size <= kSmallestClass ? 0 : static_cast<std::uint32_t>(std::bit_width((size - 1) / kSmallestClass));
}

std::size_t CapacityOf(std::uint32_t size_class) noexcept {
  const std::size_t power = kSmallestClass << size_class;
  return power > kLargeFrom ? power + kLargePlus : power;
}

Header* HeaderOf(void* block) noexcept { return static_cast<Header*>(block) - 1; }

}  // namespace

H2Memory::H2Memory(std::size_t free_bytes_max) : free_bytes_max_(free_bytes_max) {}

H2Memory::~H2Memory() {
  PENSTOCK_ASSERT(used_bytes_ == 0);
  for (FreeBlock* block : free_) {
    while (block != nullptr) {
      FreeBlock* next = block->next;
      std::free(HeaderOf(block));
      block = next;
    }
  }
}

void* H2Memory::Allocate(std::size_t size) noexcept {
  if (size > kBlockMax) return nullptr;
  const std::uint32_t size_class = ClassOf(size);
  if (size_class < kClasses && free_[size_class] != nullptr) {
    FreeBlock* block = free_[size_class];
    free_[size_class] = block->next;
    const std::size_t capacity = HeaderOf(block)->capacity;
    free_bytes_ -= capacity;
    used_bytes_ += capacity;
    return block;
  }
  return FromSystem(size_class, size_class < kClasses ? CapacityOf(size_class) : size);
}

void* H2Memory::FromSystem(std::uint32_t size_class, std::size_t capacity) noexcept {
  if (++system_allocations_ == fail_at_) return nullptr;
  auto* header = static_cast<Header*>(std::malloc(kHeaderBytes + capacity));
  if (header == nullptr) return nullptr;
  header->capacity = capacity;
  header->size_class = size_class < kClasses ? size_class : kOversize;
  used_bytes_ += header->capacity;
  return header + 1;
}

void H2Memory::Free(void* block) noexcept {
  if (block == nullptr) return;
  Header* header = HeaderOf(block);
  used_bytes_ -= header->capacity;
  if (header->size_class == kOversize || free_bytes_ + header->capacity > free_bytes_max_) {
    std::free(header);
    return;
  }
  free_bytes_ += header->capacity;
  auto* entry = static_cast<FreeBlock*>(block);
  entry->next = free_[header->size_class];
  free_[header->size_class] = entry;
}

void* H2Memory::Reallocate(void* block, std::size_t size) noexcept {
  if (block == nullptr) return Allocate(size);
  const std::size_t capacity = HeaderOf(block)->capacity;
  if (size <= capacity) return block;
  void* larger = Allocate(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, capacity);
  Free(block);
  return larger;
}

}  // namespace penstock::http
