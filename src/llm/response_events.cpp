// OpenAI's Responses object as the events of its stream.

#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/family_events.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr std::string_view kNoText = R"("")";

/// A text that is streamed: `response.NAME.delta`, then `response.NAME.done`.
struct TextEvents {
  std::string_view holder;  ///< type of the part or item that has it
  std::string_view key;     ///< there, and in the done event
  std::string_view delta;
  std::string_view done;
};
constexpr TextEvents kPartTexts[] = {
    {"output_text", "text", "response.output_text.delta", "response.output_text.done"},
    {"refusal", "refusal", "response.refusal.delta", "response.refusal.done"},
    {"reasoning_text", "text", "response.reasoning_text.delta", "response.reasoning_text.done"},
    {"summary_text", "text", "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done"},
};
constexpr TextEvents kItemTexts[] = {
    {"function_call", "arguments", "response.function_call_arguments.delta", "response.function_call_arguments.done"},
    {"custom_tool_call", "input", "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"},
};

/// A list of parts that an item has.
struct PartList {
  std::string_view item;  ///< type
  std::string_view key;
  std::string_view index;  ///< how events call a part's place
  std::string_view added;
  std::string_view done;
};
constexpr std::string_view kAdded = "response.content_part.added";
constexpr std::string_view kDone = "response.content_part.done";
constexpr PartList kParts[] = {
    {"message", "content", "content_index", kAdded, kDone},
    {"reasoning", "summary", "summary_index", "response.reasoning_summary_part.added",
     "response.reasoning_summary_part.done"},
    {"reasoning", "content", "content_index", kAdded, kDone},
};

template <std::size_t N>
const TextEvents* TextOf(const TextEvents (&rows)[N], std::string_view holder) {
  for (const TextEvents& row : rows) {
    if (row.holder == holder) return &row;
  }
  return nullptr;
}

const PartList* PartsOf(std::string_view item, std::string_view key) {
  for (const PartList& row : kParts) {
    if (row.item == item && row.key == key) return &row;
  }
  return nullptr;
}

bool IsConverted(std::string_view item) {
  return item == "message" || item == "reasoning" || TextOf(kItemTexts, item) != nullptr;
}

std::string_view Raw(Cursor value) { return value.Take(); }

std::string_view TypeOf(Cursor object) {
  std::string_view type;
  object.EachMember([&type](std::string_view key, Cursor& value) {
    if (key == "type" && value.is_string()) type = value.raw_string();
  });
  return type;
}

/// Where an event belongs.
struct Place {
  std::string_view item_id = {};  ///< raw; empty: the item has none
  std::size_t output_index = 0;
  const PartList* list = nullptr;  ///< null: the item itself
  std::size_t part_index = 0;
};

/// Owned by one Worker. Writes the events of one response.
class ResponseEvents {
 public:
  ResponseEvents(Cursor response, EventText& text) : response_(response), text_(text) {}

  const char* Write();

 private:
  const char* Read();
  void WriteOpening(std::string_view type);
  const char* WriteItem(Cursor item, std::size_t output_index);
  void WriteItemEvent(std::string_view type, Cursor item, std::size_t output_index, bool whole);
  const char* WriteParts(Cursor parts, Place place);
  const char* WritePart(Cursor part, const Place& place);
  void WritePartEvent(std::string_view type, Cursor part, const Place& place, bool whole);
  void WriteText(const TextEvents& row, Cursor holder, const Place& place);
  void WriteAnnotations(Cursor part, const Place& place);

  void Open(std::string_view type);
  void OpenAt(std::string_view type, const Place& place);

  Cursor response_;
  EventText& text_;
  std::optional<Cursor> output_;
  std::string_view status_;
  std::size_t sequence_number_ = 0;
};

const char* ResponseEvents::Read() {
  bool escaped = false;
  bool failed = false;
  Cursor(response_).EachMember([&](std::string_view key, Cursor& value) {
    escaped = escaped || IsEscaped(key);
    if (key == "status" && value.is_string()) status_ = value.raw_string();
    if (key == "output" && value.is_array()) output_ = value;
    if (key == "error") failed = IsErrorValue(value);
  });
  if (escaped) return kEscapedKey;
  if (failed || !output_) return "a stored answer is no response";
  if (status_ != "completed" && status_ != "incomplete") return "a stored response has not ended";
  return nullptr;
}

const char* ResponseEvents::Write() {
  if (const char* refusal = Read()) return refusal;
  WriteOpening("response.created");
  WriteOpening("response.in_progress");
  const char* refusal = nullptr;
  std::size_t output_index = 0;
  output_->EachElement([&](Cursor& item) {
    if (refusal == nullptr) refusal = WriteItem(item, output_index++);
  });
  Open(status_ == "completed" ? "response.completed" : "response.incomplete");
  text_.Member("response", Raw(response_));
  text_.Close();
  return refusal;
}

void ResponseEvents::Open(std::string_view type) {
  text_.Open(type);
  text_.Key("type");
  text_.Quoted(type);
  text_.Count("sequence_number", sequence_number_++);
}

void ResponseEvents::OpenAt(std::string_view type, const Place& place) {
  Open(type);
  if (!place.item_id.empty()) text_.Member("item_id", place.item_id);
  text_.Count("output_index", place.output_index);
  if (place.list != nullptr) text_.Count(place.list->index, place.part_index);
}

void ResponseEvents::WriteOpening(std::string_view type) {
  Open(type);
  text_.Key("response");
  text_.Put("{");
  Cursor(response_).EachMember([this](std::string_view key, Cursor& value) {
    const bool later = key == "usage" || key == "completed_at" || key == "incomplete_details";
    text_.Member(key, key == "status" ? R"("in_progress")" : key == "output" ? "[]" : later ? "null" : value.Take());
  });
  text_.Put("}");
  text_.Close();
}

const char* ResponseEvents::WriteItem(Cursor item, std::size_t output_index) {
  const std::string_view type = item.is_object() ? TypeOf(item) : std::string_view{};
  if (!IsConverted(type)) return "an item of a stored response has a type whose events are not known";
  Place place{.output_index = output_index};
  bool escaped = false;
  Cursor(item).EachMember([&](std::string_view key, Cursor& value) {
    escaped = escaped || IsEscaped(key);
    if (key == "id" && value.is_string()) place.item_id = Raw(value);
  });
  if (escaped) return kEscapedKey;
  WriteItemEvent("response.output_item.added", item, output_index, false);
  const char* refusal = nullptr;
  Cursor(item).EachMember([&](std::string_view key, Cursor& value) {
    place.list = PartsOf(type, key);
    if (place.list != nullptr && value.is_array() && refusal == nullptr) refusal = WriteParts(value, place);
  });
  place.list = nullptr;
  if (const TextEvents* const row = TextOf(kItemTexts, type)) WriteText(*row, item, place);
  WriteItemEvent("response.output_item.done", item, output_index, true);
  return refusal;
}

void ResponseEvents::WriteItemEvent(std::string_view type, Cursor item, std::size_t output_index, bool whole) {
  Open(type);
  text_.Count("output_index", output_index);
  if (whole) {
    text_.Member("item", Raw(item));
    return text_.Close();
  }
  const std::string_view item_type = TypeOf(item);
  const TextEvents* const row = TextOf(kItemTexts, item_type);
  text_.Key("item");
  text_.Put("{");
  item.EachMember([&](std::string_view key, Cursor& value) {
    const bool parts = PartsOf(item_type, key) != nullptr && value.is_array();
    const bool text = row != nullptr && key == row->key && value.is_string();
    text_.Member(key, parts                                  ? "[]"
                      : text                                 ? kNoText
                      : key == "status" && value.is_string() ? R"("in_progress")"
                                                             : value.Take());
  });
  text_.Put("}");
  text_.Close();
}

const char* ResponseEvents::WriteParts(Cursor parts, Place place) {
  const char* refusal = nullptr;
  parts.EachElement([&](Cursor& part) {
    if (refusal == nullptr) refusal = WritePart(part, place);
    ++place.part_index;
  });
  return refusal;
}

const char* ResponseEvents::WritePart(Cursor part, const Place& place) {
  const TextEvents* const row = part.is_object() ? TextOf(kPartTexts, TypeOf(part)) : nullptr;
  if (row == nullptr) return "a part of a stored response has a type whose events are not known";
  bool escaped = false;
  Cursor(part).EachMember([&escaped](std::string_view key, Cursor&) { escaped = escaped || IsEscaped(key); });
  if (escaped) return kEscapedKey;
  WritePartEvent(place.list->added, part, place, false);
  WriteText(*row, part, place);
  WriteAnnotations(part, place);
  WritePartEvent(place.list->done, part, place, true);
  return nullptr;
}

void ResponseEvents::WritePartEvent(std::string_view type, Cursor part, const Place& place, bool whole) {
  OpenAt(type, place);
  if (whole) {
    text_.Member("part", Raw(part));
    return text_.Close();
  }
  const TextEvents* const row = TextOf(kPartTexts, TypeOf(part));
  text_.Key("part");
  text_.Put("{");
  part.EachMember([&](std::string_view key, Cursor& value) {
    const bool list = (key == "annotations" || key == "logprobs") && value.is_array();
    text_.Member(key, list ? "[]" : key == row->key ? kNoText : value.Take());
  });
  text_.Put("}");
  text_.Close();
}

void ResponseEvents::WriteText(const TextEvents& row, Cursor holder, const Place& place) {
  std::string_view text = kNoText;
  std::string_view logprobs;
  holder.EachMember([&](std::string_view key, Cursor& value) {
    if (key == row.key && value.is_string()) text = Raw(value);
    if (key == "logprobs" && value.is_array()) logprobs = Raw(value);
  });
  for (const bool done : {false, true}) {
    OpenAt(done ? row.done : row.delta, place);
    text_.Member(done ? row.key : "delta", text);
    if (row.holder == "output_text") text_.Member("logprobs", logprobs.empty() ? "[]" : logprobs);
    text_.Close();
  }
}

void ResponseEvents::WriteAnnotations(Cursor part, const Place& place) {
  part.EachMember([&](std::string_view key, Cursor& value) {
    if (key != "annotations" || !value.is_array()) return;
    std::size_t index = 0;
    value.EachElement([&](Cursor& annotation) {
      OpenAt("response.output_text.annotation.added", place);
      text_.Count("annotation_index", index++);
      text_.Member("annotation", annotation.Take());
      text_.Close();
    });
  });
}

}  // namespace

const char* WriteResponseEvents(Cursor answer, EventText& text) { return ResponseEvents(answer, text).Write(); }

}  // namespace penstock::llm
