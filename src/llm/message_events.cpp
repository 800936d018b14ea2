// Anthropic's message as the events of its stream.

#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/family_events.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

bool IsText(const Cursor& value) { return value.is_string() && !value.is_empty(); }

/// Known at the end only: these are null in message_start, and said in message_delta.
bool IsEnd(std::string_view key) { return key == "stop_reason" || key == "stop_sequence" || key == "stop_details"; }
/// Said in both, as Anthropic does: `container` in the delta, `context_management` beside it.
bool IsInDelta(std::string_view key) { return IsEnd(key) || key == "container"; }
bool IsBesideDelta(std::string_view key) { return key == "usage" || key == "context_management"; }

/// A block's member that is sent in deltas.
struct BlockDelta {
  std::string_view block;  ///< type
  std::string_view key;
  std::string_view type;    ///< of the delta
  std::string_view member;  ///< of the delta
  std::string_view start;   ///< the value in content_block_start
};
constexpr std::string_view kNoText = R"("")";
constexpr BlockDelta kDeltas[] = {
    {"text", "text", "text_delta", "text", kNoText},
    {"text", "citations", "citations_delta", "citation", "[]"},
    {"thinking", "thinking", "thinking_delta", "thinking", kNoText},
    {"thinking", "signature", "signature_delta", "signature", kNoText},
    {"tool_use", "input", "input_json_delta", "partial_json", "{}"},
    {"server_tool_use", "input", "input_json_delta", "partial_json", "{}"},
    {"mcp_tool_use", "input", "input_json_delta", "partial_json", "{}"},
};

/// The row for a member whose value can be cut into deltas; null for all others.
const BlockDelta* DeltaOf(std::string_view block, std::string_view key, const Cursor& value) {
  for (const BlockDelta& row : kDeltas) {
    if (row.block == block && row.key == key && row.start.front() == value.first()) return &row;
  }
  return nullptr;
}

/// Owned by one Worker. Writes the events of one message.
class MessageEvents {
 public:
  MessageEvents(Cursor message, EventText& text) : message_(message), text_(text) {}

  const char* Write();

 private:
  const char* Read();
  void WriteStart();
  const char* WriteBlock(Cursor block, std::size_t index);
  void WriteDelta(const BlockDelta& row, Cursor value, std::size_t index);
  void OpenDelta(const BlockDelta& row, std::size_t index);
  void WriteEnd();

  Cursor message_;
  EventText& text_;
  std::optional<Cursor> content_;
};

const char* MessageEvents::Read() {
  bool is_message = false;
  bool ended = false;
  bool escaped = false;
  Cursor(message_).EachMember([&](std::string_view key, Cursor& value) {
    escaped = escaped || IsEscaped(key);
    if (key == "type") is_message = value.scalar() == R"("message")";
    if (key == "stop_reason") ended = IsText(value);
    if (key == "content" && value.is_array()) content_ = value;
  });
  if (escaped) return kEscapedKey;
  if (!is_message || !content_) return "a stored answer is no message";
  return ended ? nullptr : "a stored message has not ended";
}

const char* MessageEvents::Write() {
  if (const char* refusal = Read()) return refusal;
  WriteStart();
  const char* refusal = nullptr;
  std::size_t index = 0;
  content_->EachElement([&](Cursor& block) {
    if (refusal == nullptr) refusal = WriteBlock(block, index++);
  });
  WriteEnd();
  return refusal;
}

void MessageEvents::WriteStart() {
  text_.Open("message_start");
  text_.Member("type", R"("message_start")");
  text_.Key("message");
  text_.Put("{");
  Cursor(message_).EachMember([this](std::string_view key, Cursor& value) {
    text_.Member(key, IsEnd(key) ? "null" : key == "content" ? "[]" : value.Take());
  });
  text_.Put("}");
  text_.Close();
}

const char* MessageEvents::WriteBlock(Cursor block, std::size_t index) {
  if (!block.is_object()) return "a block of a stored message is no object";
  std::string_view type;
  bool escaped = false;
  Cursor(block).EachMember([&](std::string_view key, Cursor& value) {
    escaped = escaped || IsEscaped(key);
    if (key == "type" && value.is_string()) type = value.raw_string();
  });
  if (escaped) return kEscapedKey;
  text_.Open("content_block_start");
  text_.Member("type", R"("content_block_start")");
  text_.Count("index", index);
  text_.Key("content_block");
  text_.Put("{");
  Cursor(block).EachMember([&](std::string_view key, Cursor& value) {
    const BlockDelta* const row = DeltaOf(type, key, value);
    text_.Member(key, row != nullptr ? row->start : value.Take());
  });
  text_.Put("}");
  text_.Close();
  for (const BlockDelta& row : kDeltas) {  // in the table's order: a signature comes behind what it signs
    Cursor(block).EachMember([&](std::string_view key, Cursor& value) {
      if (DeltaOf(type, key, value) == &row && !value.is_empty()) WriteDelta(row, value, index);
    });
  }
  text_.Open("content_block_stop");
  text_.Member("type", R"("content_block_stop")");
  text_.Count("index", index);
  text_.Close();
  return nullptr;
}

void MessageEvents::OpenDelta(const BlockDelta& row, std::size_t index) {
  text_.Open("content_block_delta");
  text_.Member("type", R"("content_block_delta")");
  text_.Count("index", index);
  text_.Key("delta");
  text_.Put("{");
  text_.Key("type");
  text_.Quoted(row.type);
}

void MessageEvents::WriteDelta(const BlockDelta& row, Cursor value, std::size_t index) {
  if (value.is_array()) {
    value.EachElement([&](Cursor& element) {
      OpenDelta(row, index);
      text_.Member(row.member, element.Take());
      text_.Put("}");
      text_.Close();
    });
    return;
  }
  OpenDelta(row, index);
  text_.Key(row.member);
  if (value.is_string()) {
    text_.Value(value.scalar());
  } else {
    text_.Quoted(value.Take());  // the input of a tool travels as text: its bytes stay as they are
  }
  text_.Put("}");
  text_.Close();
}

void MessageEvents::WriteEnd() {
  text_.Open("message_delta");
  text_.Member("type", R"("message_delta")");
  text_.Key("delta");
  text_.Put("{");
  Cursor(message_).EachMember([this](std::string_view key, Cursor& value) {
    if (IsInDelta(key)) text_.Member(key, value.Take());
  });
  text_.Put("}");
  Cursor(message_).EachMember([this](std::string_view key, Cursor& value) {
    if (IsBesideDelta(key)) text_.Member(key, value.Take());
  });
  text_.Close();
  text_.Open("message_stop");
  text_.Member("type", R"("message_stop")");
  text_.Close();
}

}  // namespace

const char* WriteMessageEvents(Cursor answer, EventText& text) { return MessageEvents(answer, text).Write(); }

}  // namespace penstock::llm
