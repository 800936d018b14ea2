#pragma once

#include <cstddef>
#include <cstdint>

namespace penstock::http {

/// Owned by one Worker. The allocator handed to nghttp2 as `nghttp2_mem`: free lists by size class, so that a stream's
/// life costs no malloc after warm-up. Blocks above the largest class go to malloc. Outlives its codecs.
class H2Memory {
 public:
  explicit H2Memory(std::size_t free_bytes_max = 8 * 1024 * 1024);
  ~H2Memory();
  H2Memory(const H2Memory&) = delete;
  H2Memory& operator=(const H2Memory&) = delete;

  void* Allocate(std::size_t size) noexcept;
  void Free(void* block) noexcept;
  void* Reallocate(void* block, std::size_t size) noexcept;
  std::uint64_t system_allocations() const noexcept { return system_allocations_; }  ///< blocks that came from malloc

 private:
  static constexpr std::size_t kClasses = 12;  ///< 32 B doubling to 64 KiB
  struct FreeBlock {
    FreeBlock* next;
  };
  FreeBlock* free_[kClasses] = {};
  std::size_t free_bytes_ = 0;
  std::size_t free_bytes_max_;
  std::uint64_t system_allocations_ = 0;
};

}  // namespace penstock::http
