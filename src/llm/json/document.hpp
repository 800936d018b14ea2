#pragma once

#include <cstdint>

#include "penstock/base/error.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::llm::json {

inline constexpr const char* kTooLargeText = "a JSON text beyond 1 GiB";
inline constexpr const char* kTooDeep = "nested deeper than the limit";

/// Why a text was refused. kNone: it was not.
struct Fault {
  ErrorCode code = ErrorCode::kNone;
  const char* context = "";
  std::uint32_t offset = 0;

  explicit operator bool() const noexcept { return code != ErrorCode::kNone; }
};

}  // namespace penstock::llm::json
