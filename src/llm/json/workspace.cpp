#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

/// An upstream answers with what it likes; this bound only keeps the stack of open containers small.
constexpr std::uint32_t kAnswerDepthMax = json::Validator::kDepthMax;

}  // namespace

JsonParser::JsonParser(std::uint64_t seed, std::uint32_t depth_max)
    : workspace_(std::make_unique<Workspace>(seed, depth_max)) {}

void JsonParser::set_depth_max(std::uint32_t depth_max) noexcept { workspace_->depth_max = depth_max; }

TokenNotes& JsonParser::BeginNotes() noexcept {
  ++workspace_->text;
  workspace_->notes.Clear();
  return workspace_->notes;
}

JsonParser::~JsonParser() = default;

json::Fault JsonParser::Workspace::ParseRequest(std::string_view bytes) {
  ++text;
  if (json::Fault fault = index.Build(bytes, document)) return fault;
  return validator.Check(document, {.depth_max = depth_max});
}

std::optional<json::Cursor> JsonParser::Workspace::ParseAnswer(std::string_view bytes) {
  return ParseLenient(bytes, false);
}

std::optional<json::Cursor> JsonParser::Workspace::ParseUnambiguous(std::string_view bytes) {
  return ParseLenient(bytes, true);
}

std::optional<json::Cursor> JsonParser::Workspace::ParseLenient(std::string_view bytes, bool unique_keys) {
  ++text;
  if (index.Build(bytes, document)) return std::nullopt;
  const json::Strictness lenient{.depth_max = kAnswerDepthMax,
                                 .unique_keys = unique_keys,
                                 .finite_numbers = false,
                                 .escapes = json::Escapes::kGrammar};
  if (validator.Check(document, lenient)) return std::nullopt;
  return json::Cursor(document);
}

json::Fault JsonParser::Workspace::TakeNotes(std::string_view bytes) {
  ++text;
  if (bytes.size() > json::StructuralIndex::kTextMax) return {ErrorCode::kBodyTooLarge, json::kTooLargeText, 0};
  const std::uint32_t count = notes.size();
  notes.Add(bytes.size());
  document = {bytes.data(), static_cast<std::uint32_t>(bytes.size()), notes.data(), count};
  if (notes.deepest() > depth_max) return {ErrorCode::kInvalidJson, json::kTooDeep, 0};
  return {};
}

bool JsonParser::Workspace::Index(std::string_view bytes) {
  ++text;
  return !index.Build(bytes, document);
}

void JsonParser::Workspace::Trim() {
  const bool notes_gone = notes.Trim();
  if (index.Trim() || notes_gone) ++text;
  validator.Trim();
  canonical.Trim();
}

std::optional<json::Cursor> ReadJson(std::string_view text, JsonParser& parser) {
  return parser.workspace().ParseAnswer(text);
}

void EndJson(JsonParser& parser) { parser.workspace().Trim(); }

}  // namespace penstock::llm
