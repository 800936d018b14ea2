#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/llm/json_parser.hpp"

namespace penstock::grpc {

/// What a choice of a completion, or of an event of one, says.
struct CompletionChoice {
  std::uint32_t index = 0;
  std::string text;
  std::string finish_reason;  ///< empty: it goes on
};

/// The choices of a completion's document or event; tolerant: what is ill-typed reads as absent. Nothing: `json` is no
/// JSON object.
std::optional<std::vector<CompletionChoice>> ReadCompletion(std::string_view json, llm::JsonParser& parser);

}  // namespace penstock::grpc
