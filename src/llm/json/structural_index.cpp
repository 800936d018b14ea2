#include "llm/json/structural_index.hpp"

#include <simdjson.h>

#include <bit>

namespace penstock::llm::json {
namespace {

constexpr std::size_t kSmallest = 4096;

}  // namespace

StructuralIndex::StructuralIndex() = default;
StructuralIndex::~StructuralIndex() = default;

bool StructuralIndex::Reserve(std::size_t bytes) {
  // Doubling makes warm-up short; a large text gets what it needs and no more.
  std::size_t wanted = std::max(kSmallest, bytes);
  if (wanted <= kRetainedMax) wanted = std::bit_ceil(wanted);
  const simdjson::error_code failed =
      stage1_ == nullptr ? simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, 1, stage1_)
                         : stage1_->set_capacity(wanted);
  capacity_ = failed ? 0 : wanted;
  return !failed;
}

Fault StructuralIndex::Build(std::string_view text, Document& document) {
  if (text.size() > kTextMax) return {ErrorCode::kBodyTooLarge, kTooLargeText, 0};
  if ((stage1_ == nullptr || text.size() > capacity_) && !Reserve(text.size())) {
    return {ErrorCode::kOverloaded, "no memory for the JSON index", 0};
  }
  const simdjson::error_code failed =
      stage1_->stage1(reinterpret_cast<const std::uint8_t*>(text.data()), text.size(), simdjson::stage1_mode::regular);
  if (failed == simdjson::EMPTY) return {ErrorCode::kInvalidJson, "the JSON text is empty", 0};
  if (failed) return LocateLexicalFault(text);
  document.bytes = text.data();
  document.size = static_cast<std::uint32_t>(text.size());
  document.tokens = stage1_->structural_indexes.get();
  document.count = stage1_->n_structural_indexes;
  return {};
}

bool StructuralIndex::Trim() {
  if (capacity_ <= kRetainedMax) return false;
  stage1_.reset();
  capacity_ = 0;
  return true;
}

}  // namespace penstock::llm::json

namespace penstock::llm {

bool IsUtf8(std::string_view text) noexcept { return simdjson::validate_utf8(text.data(), text.size()); }

}  // namespace penstock::llm
