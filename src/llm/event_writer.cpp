#include "penstock/llm/event_writer.hpp"

#include "llm/family_events.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

const char* Write(const EventForm& form, std::string_view answer, JsonParser& parser, EventText& text) {
  const std::optional<json::Cursor> root = parser.workspace().ParseUnambiguous(answer);
  if (!root || !root->is_object()) return "a stored answer is not a JSON object with keys of its own";
  switch (form.family) {
    case Family::kChat:
    case Family::kCompletions: return WriteTokenEvents(form, *root, text);
    case Family::kMessages: return WriteMessageEvents(*root, text);
    case Family::kResponses: return WriteResponseEvents(*root, text);
    default: return "answers of this family are not streamed";
  }
}

}  // namespace

std::optional<Error> WriteEvents(const EventForm& form, std::string_view answer, JsonParser& parser, std::string& out) {
  const std::size_t before = out.size();
  EventText text(out, form.bytes_max);
  const char* refusal = Write(form, answer, parser, text);
  parser.workspace().Trim();
  if (refusal == nullptr && !text.fits()) refusal = "the events of a stored answer are too large";
  if (refusal == nullptr) return std::nullopt;
  out.resize(before);
  return Error{ErrorCode::kUpstreamProtocol, Origin::kCache, Retry::kNever, refusal};
}

}  // namespace penstock::llm
