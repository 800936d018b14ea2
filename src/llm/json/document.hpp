#pragma once

#include <cstdint>

#include "penstock/base/error.hpp"

namespace penstock::llm::json {

/// Immutable. Borrowed view of an indexed text: where each token starts. Valid until the index it came from
/// is built again. `tokens[count] == size`, so that the end of token i is always found by looking back from i
/// + 1.
struct Document {
  const char* bytes = nullptr;
  std::uint32_t size = 0;
  const std::uint32_t* tokens = nullptr;  ///< ascending byte offsets of { } [ ] : , and of the start of each scalar
  std::uint32_t count = 0;
};

/// Why a text was refused. kNone: it was not.
struct Fault {
  ErrorCode code = ErrorCode::kNone;
  const char* context = "";
  std::uint32_t offset = 0;

  explicit operator bool() const noexcept { return code != ErrorCode::kNone; }
};

inline bool IsSpace(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace penstock::llm::json
