#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::llm {

/// Owned by one Worker. Follows the brackets of a JSON document through any number of pieces and tells whether its last
/// one closed: what a body without a length that ended with its connection must show before anybody calls it whole. It
/// does not check the grammar.
class DocumentEnd {
 public:
  void Feed(std::string_view bytes) noexcept;
  /// The document began with { or [ and all that was opened is closed.
  bool reached() const noexcept { return begun_ && depth_ == 0; }

 private:
  std::uint32_t depth_ = 0;
  bool begun_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
};

}  // namespace penstock::llm
