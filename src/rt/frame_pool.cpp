#include <array>
#include <bit>
#include <new>

#include "penstock/rt/task.hpp"

namespace penstock::rt {
namespace {

constexpr std::size_t kSmallestBits = 7;  // 128 B
constexpr std::size_t kClasses = 7;       // up to 8 KiB
constexpr std::size_t kFreePerClass = 4096;

struct FreeFrameLink {
  FreeFrameLink* next;
};

struct FrameLists {
  std::array<FreeFrameLink*, kClasses> free{};
  std::array<std::size_t, kClasses> count{};
  ~FrameLists() {
    for (FreeFrameLink* link : free) {
      while (link != nullptr) ::operator delete(std::exchange(link, link->next));
    }
  }
};

thread_local FrameLists lists;

std::size_t ClassOf(std::size_t size) {
  const auto bits = static_cast<std::size_t>(std::bit_width(size - 1));
  return bits <= kSmallestBits ? 0 : bits - kSmallestBits;
}

}  // namespace

void* AllocateFrame(std::size_t size) {
  const std::size_t index = ClassOf(size);
  if (index >= kClasses) return ::operator new(size);
  if (FreeFrameLink* link = lists.free[index]; link != nullptr) {
    lists.free[index] = link->next;
    --lists.count[index];
    return link;
  }
  return ::operator new (std::size_t{1} << (kSmallestBits + index));
}

void FreeFrame(void* frame, std::size_t size) noexcept {
  const std::size_t index = ClassOf(size);
  if (index >= kClasses || lists.count[index] >= kFreePerClass) {
    ::operator delete(frame);
    return;
  }
  auto* link = static_cast<FreeFrameLink*>(frame);
  link->next = lists.free[index];
  lists.free[index] = link;
  ++lists.count[index];
}

}  // namespace penstock::rt
