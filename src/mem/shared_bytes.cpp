#include "penstock/mem/shared_bytes.hpp"

#include <cstring>
#include <new>

namespace penstock {

SharedBytes SharedBytes::Uninitialized(std::size_t size) {
  SharedBytes result;
  void* memory = ::operator new(sizeof(Block) + size);
  result.block_ = new (memory) Block;
  result.block_->size = size;
  return result;
}

SharedBytes SharedBytes::Copy(std::string_view bytes) {
  SharedBytes result = Uninitialized(bytes.size());
  if (!bytes.empty()) std::memcpy(result.block_->bytes(), bytes.data(), bytes.size());
  return result;
}

void SharedBytes::Release() noexcept {
  if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->~Block();
    ::operator delete(block_);
  }
  block_ = nullptr;
}

}  // namespace penstock
