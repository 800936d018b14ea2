#include "penstock/llm/token_notes.hpp"

#include <cstring>

#include "penstock/base/assert.hpp"

namespace penstock::llm {
namespace {

constexpr std::uint32_t kSmallest = 256;

}  // namespace

void TokenNotes::Grow() {
  PENSTOCK_ASSERT(capacity_ < std::uint32_t{1} << 31);  // a text has no more bytes than that
  const std::uint32_t wanted = std::max(kSmallest, capacity_ * 2);
  auto grown = std::make_unique_for_overwrite<std::uint32_t[]>(wanted);
  if (size_ != 0) std::memcpy(grown.get(), tokens_.get(), size_ * sizeof(std::uint32_t));
  tokens_ = std::move(grown);
  capacity_ = wanted;
}

bool TokenNotes::Trim() {
  if (capacity_ <= kRetainedMax) return false;
  Clear();
  tokens_.reset();
  capacity_ = 0;
  return true;
}

}  // namespace penstock::llm
