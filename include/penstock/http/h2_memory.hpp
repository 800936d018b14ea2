#pragma once

#include <cstddef>
#include <cstdint>

namespace penstock::http {

/// Owned by one Worker. The allocator handed to nghttp2 as `nghttp2_mem`: free lists by size class, so that a stream's
/// life costs no malloc after warm-up. Blocks above the largest class go to malloc. Outlives its codecs.
class H2Memory {
 public:
  static constexpr std::size_t kBlockMax = 64 * 1024 * 1024;  ///< a larger request is refused

  explicit H2Memory(std::size_t free_bytes_max = 8 * 1024 * 1024);
  ~H2Memory();
  H2Memory(const H2Memory&) = delete;
  H2Memory& operator=(const H2Memory&) = delete;

  void* Allocate(std::size_t size) noexcept;  ///< null when refused or out of memory; aligned to 16
  void Free(void* block) noexcept;            ///< null is allowed
  void* Reallocate(void* block, std::size_t size) noexcept;

  std::uint64_t system_allocations() const noexcept { return system_allocations_; }  ///< blocks asked of malloc
  std::size_t used_bytes() const noexcept { return used_bytes_; }                    ///< in blocks handed out now

  /// For tests: the nth request that reaches the system (1 = the first ever) is refused. With free_bytes_max = 0
  /// every allocation reaches it.
  void FailAt(std::uint64_t nth) noexcept { fail_at_ = nth; }

 private:
  static constexpr std::size_t kClasses = 12;  ///< 32 B doubling to 64 KiB
  struct FreeBlock {
    FreeBlock* next;
  };
  void* FromSystem(std::uint32_t size_class, std::size_t capacity) noexcept;

  FreeBlock* free_[kClasses] = {};
  std::size_t free_bytes_ = 0;
  std::size_t used_bytes_ = 0;
  std::size_t free_bytes_max_;
  std::uint64_t system_allocations_ = 0;
  std::uint64_t fail_at_ = 0;
};

}  // namespace penstock::http
