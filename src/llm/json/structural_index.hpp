#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "llm/json/document.hpp"

namespace simdjson::internal {
class dom_parser_implementation;
}

namespace penstock::llm::json {

/// Owned by one Worker. Finds the tokens of a text with simdjson's first stage, which also proves UTF-8,
/// closed strings and the absence of raw control characters inside them, at some 64 bytes a step.
///
/// On-Demand is a cursor over this same index. We walk the index ourselves because the gateway must refuse
/// what On-Demand never looks at (a value nobody asked for, a second key of one name, bytes behind the root),
/// wants the byte offset of every token, and must accept texts with no padding behind them: stage 1 copies
/// the last incomplete block, and our walk never reads past the end. Four bytes of index per byte of text.
class StructuralIndex {
 public:
  static constexpr std::size_t kTextMax = std::size_t{1} << 30;      ///< offsets and flags fit 32 bits
  static constexpr std::size_t kRetainedMax = std::size_t{1} << 20;  ///< a larger text's index is given back by Trim

  StructuralIndex();
  ~StructuralIndex();

  /// `document` is filled when the returned fault is none.
  Fault Build(std::string_view text, Document& document);
  /// Gives memory back after an unusually large text: true when it did, so that the last document is gone.
  bool Trim();

 private:
  bool Reserve(std::size_t bytes);

  std::unique_ptr<simdjson::internal::dom_parser_implementation> stage1_;
  std::size_t capacity_ = 0;
};

/// The offset of the first byte that stage 1 must have refused. Only on the error path: it scans byte by
/// byte.
Fault LocateLexicalFault(std::string_view text);

}  // namespace penstock::llm::json
