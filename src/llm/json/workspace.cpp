#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

/// An upstream answers with what it likes; this bound only keeps the stack of open containers small.
constexpr std::uint32_t kAnswerDepthMax = json::Validator::kDepthMax;

}  // namespace

JsonParser::JsonParser(std::uint64_t seed, std::uint32_t depth_max)
    : workspace_(std::make_unique<Workspace>(seed, depth_max)) {}

void JsonParser::set_depth_max(std::uint32_t depth_max) noexcept { workspace_->depth_max = depth_max; }

JsonParser::~JsonParser() = default;

json::Fault JsonParser::Workspace::ParseRequest(std::string_view text) {
  if (json::Fault fault = index.Build(text, document)) return fault;
  return validator.Check(document, {.depth_max = depth_max});
}

std::optional<json::Cursor> JsonParser::Workspace::ParseAnswer(std::string_view text) {
  return ParseLenient(text, false);
}

std::optional<json::Cursor> JsonParser::Workspace::ParseUnambiguous(std::string_view text) {
  return ParseLenient(text, true);
}

std::optional<json::Cursor> JsonParser::Workspace::ParseLenient(std::string_view text, bool unique_keys) {
  if (index.Build(text, document)) return std::nullopt;
  const json::Strictness lenient{.depth_max = kAnswerDepthMax,
                                 .unique_keys = unique_keys,
                                 .finite_numbers = false,
                                 .escapes = json::Escapes::kGrammar};
  if (validator.Check(document, lenient)) return std::nullopt;
  return json::Cursor(document);
}

void JsonParser::Workspace::Trim() {
  index.Trim();
  validator.Trim();
}

}  // namespace penstock::llm
