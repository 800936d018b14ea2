#include <string>

#include "penstock/grpc/translation.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::grpc {
namespace {

using llm::json::Cursor;

/// A string decoded, a number as it is written; anything else leaves `text` empty.
void ReadText(const Cursor& value, std::string& text) {
  text.clear();
  if (value.is_number()) text = value.scalar();
  if (!value.is_string()) return;
  const std::string_view raw = value.raw_string();
  text.resize(raw.size());
  text.resize(llm::json::Unescape(raw, text));
}

void ReadFields(Cursor& object, ErrorObject& error) {
  object.EachMember([&error](std::string_view key, const Cursor& value) {
    if (key == "message") ReadText(value, error.message);
    if (key == "type") ReadText(value, error.type);
    if (key == "code") ReadText(value, error.code);
    if (key == "param") ReadText(value, error.param);
  });
}

/// Other shapes do not come here: the pipeline makes them OpenAI's (llm/error_shapes.hpp).
std::optional<ErrorObject> ReadRoot(Cursor root) {
  std::optional<ErrorObject> error;
  root.EachMember([&error](std::string_view key, Cursor& value) {
    if (key != "error" || (!value.is_object() && !value.is_string())) return;
    error.emplace();
    if (value.is_object()) return ReadFields(value, *error);
    ReadText(value, error->message);
  });
  return error;
}

}  // namespace

std::optional<ErrorObject> ReadErrorObject(std::string_view json, llm::JsonParser& parser) {
  std::optional<ErrorObject> error;
  if (const std::optional<Cursor> root = llm::ReadJson(json, parser); root && root->is_object())
    error = ReadRoot(*root);
  llm::EndJson(parser);
  return error;
}

}  // namespace penstock::grpc
