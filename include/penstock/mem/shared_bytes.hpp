#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace penstock {

/// Shared: immutable bytes behind an atomic reference count, so that one cached answer is sent to many clients
/// without a copy. One allocation holds count, size and bytes.
class SharedBytes {
 public:
  static constexpr std::size_t kHeaderBytes = 16;  ///< of an allocation beside the bytes

  SharedBytes() noexcept = default;
  static SharedBytes Copy(std::string_view bytes);
  /// `size` bytes as `fill(char*) -> bool` writes them; nothing when it returns false.
  template <class Fill>
  static SharedBytes Make(std::size_t size, Fill&& fill) {
    SharedBytes result = Uninitialized(size);
    if (!fill(result.block_->bytes())) return {};
    return result;
  }

  SharedBytes(const SharedBytes& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  SharedBytes(SharedBytes&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedBytes() { Release(); }

  std::string_view view() const noexcept {
    return block_ == nullptr ? std::string_view{} : std::string_view{block_->bytes(), block_->size};
  }
  std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->size; }
  bool empty() const noexcept { return size() == 0; }

 private:
  struct Block {
    std::atomic<std::uint32_t> references{1};
    std::size_t size = 0;
    char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  };
  static_assert(sizeof(Block) == kHeaderBytes);
  static SharedBytes Uninitialized(std::size_t size);
  void Release() noexcept;

  Block* block_ = nullptr;
};

}  // namespace penstock
