#include "penstock/llm/stream_tap.hpp"

#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr std::string_view kDone = "[DONE]";
constexpr std::uint16_t kAbortStatus = 503;  // SGLang aborts what it has no room for (its --max-queued-requests)

bool HasText(const Cursor& value) { return !value.is_null() && !value.is_empty(); }

bool IsContentField(std::string_view key) {
  switch (key.size()) {
    case 7: return key == "content" || key == "refusal";
    case 9: return key == "reasoning";
    case 10: return key == "tool_calls";
    case 13: return key == "function_call";
    case 17: return key == "reasoning_content";
    default: return false;
  }
}

}  // namespace

/// Owned by one Worker. Reads one event into a tap's state.
class EventReader {
 public:
  EventReader(StreamTap& tap, std::string_view event_name, Sighting& sighting)
      : tap_(tap), event_name_(event_name), sighting_(sighting) {}

  void Read(Cursor root);
  /// A string of the event that carried content, raw: with any other text in its place the event would say the same.
  /// Empty when there is none, or when the event says more than that there is content.
  std::string_view exchangeable_text() const noexcept {
    const bool plain = sighting_.content && !sighting_.finish && !sighting_.error && !has_counts_;
    return plain ? text_ : std::string_view{};
  }

 private:
  /// The top-level members of an event that may decide what it is.
  struct Members {
    std::optional<Cursor> usage, timings, error, error_type, type, message, delta, response;
    bool object_is_error = false;
    bool no_choices = false;  ///< `choices: []`
  };

  void Collect(Cursor root, Members& members);
  void ReadTokens(const Members& members);
  void ReadChoices(Cursor& choices, Members& members);
  void ReadChoice(Cursor& choice);
  void ReadDelta(Cursor& delta);
  void ReadResponses(Cursor root, const Members& members, std::string_view type);
  void ReadMessages(const Members& members, std::string_view type);
  void Finish(FinishReason reason, std::uint32_t index);
  void Content() { sighting_.content = sighting_.commits = true; }
  void Content(const Cursor& value) {
    Content();
    if (value.is_string()) text_ = value.raw_string();
  }
  void Terminal() { tap_.terminal_seen_ = sighting_.finish = sighting_.commits = true; }
  void Fail(std::uint16_t status) {
    sighting_.error = true;
    sighting_.error_status = status;
  }
  /// The error's own value; TGI's is a text with its type beside it.
  void FailWith(Cursor error, std::optional<Cursor> error_type);

  StreamTap& tap_;
  std::string_view event_name_;
  Sighting& sighting_;
  bool has_counts_ = false;
  std::string_view text_;
};

void EventReader::Collect(Cursor root, Members& members) {
  root.EachMember([this, &members](std::string_view key, Cursor& value) {
    switch (key.size()) {
      case 4:
        if (key == "type") members.type = value;
        return;
      case 5:
        if (key == "usage") members.usage = value;
        if (key == "error" && IsErrorValue(value)) members.error = value;
        if (key == "delta") members.delta = value;
        return;
      case 6: members.object_is_error |= key == "object" && value.scalar() == "\"error\""; return;
      case 7:
        if (key == "choices" && HasDone(tap_.family_)) ReadChoices(value, members);
        if (key == "timings") members.timings = value;
        if (key == "message") members.message = value;
        return;
      case 8:
        if (key == "response") members.response = value;
        return;
      case 10:
        if (key == "error_type") members.error_type = value;
        return;
      default: return;
    }
  });
}

void EventReader::FailWith(Cursor error, std::optional<Cursor> error_type) {
  std::uint16_t status = ReadErrorStatus(error);
  if (error.is_string() && error_type && error_type->is_string()) {
    const std::uint16_t named = StatusOfErrorName(error_type->raw_string());
    // TGI answers its `overloaded` with 429 when it still can.
    if (named != 0) status = error_type->raw_string() == "overloaded" ? 429 : named;
  }
  Fail(status);
}

void EventReader::Read(Cursor root) {
  if (!root.is_object()) {
    sighting_.malformed = true;
    return;
  }
  Members members;
  Collect(root, members);
  const std::string_view type = members.type && members.type->is_string() ? members.type->raw_string() : event_name_;
  if (members.error && type != "response.failed") return FailWith(*members.error, members.error_type);
  if (members.object_is_error || event_name_ == "error" || (type == "error" && !HasDone(tap_.family_))) {
    return Fail(ReadErrorStatus(root));
  }
  if (HasDone(tap_.family_)) return ReadTokens(members);
  if (tap_.family_ == Family::kResponses) return ReadResponses(root, members, type);
  ReadMessages(members, type);
}

void EventReader::ReadTokens(const Members& members) {
  const bool has_usage = members.usage && members.usage->is_object();
  has_counts_ = has_usage || members.timings;
  if (has_usage) ReadUsage(*members.usage, tap_.usage_);
  if (members.timings && !has_usage && !tap_.usage_.known) ReadTimings(*members.timings, tap_.usage_);
  sighting_.usage_only = has_usage && members.no_choices;
}

void EventReader::ReadChoices(Cursor& choices, Members& members) {
  if (!choices.is_array()) return;
  members.no_choices = choices.is_empty();
  choices.EachElement([this](Cursor& choice) {
    if (choice.is_object()) ReadChoice(choice);
  });
}

void EventReader::ReadChoice(Cursor& choice) {
  std::uint32_t index = 0;
  FinishReason reason = FinishReason::kNone;
  choice.EachMember([&](std::string_view key, Cursor& value) {
    switch (key.size()) {
      case 4:
        if (key == "text" && HasText(value)) Content(value);
        return;
      case 5:
        if (key == "index") index = ReadCount(value);
        if (key == "delta" && value.is_object()) ReadDelta(value);
        return;
      case 13:
        if (key == "finish_reason") reason = ReadFinishReason(value);
        return;
      default: return;
    }
  });
  if (index < kTrackedChoices) {
    tap_.started_.set(index);
  } else {
    tap_.index_beyond_ = true;
  }
  if (reason == FinishReason::kAbort) return Fail(kAbortStatus);
  if (reason != FinishReason::kNone) Finish(reason, index);
}

void EventReader::ReadDelta(Cursor& delta) {
  delta.EachMember([this](std::string_view key, Cursor& value) {
    if (IsContentField(key) && HasText(value)) Content(value);
  });
}

void EventReader::Finish(FinishReason reason, std::uint32_t index) {
  sighting_.finish = sighting_.commits = true;
  tap_.finish_reasons_ |= Bit(reason);
  if (index < kTrackedChoices) tap_.finished_.set(index);
}

void EventReader::ReadResponses(Cursor root, const Members& members, std::string_view type) {
  if (type.ends_with(".delta")) return Content();
  const bool completed = type == "response.completed";
  if (!completed && type != "response.incomplete" && type != "response.failed") return;
  std::optional<Cursor> error;
  if (members.response && members.response->is_object()) {
    Cursor response = *members.response;
    response.EachMember([&](std::string_view key, Cursor value) {
      if (key == "usage") ReadUsage(value, tap_.usage_);
      if (key == "error" && IsErrorValue(value)) error = value;
    });
  }
  if (type == "response.failed") return Fail(ReadErrorStatus(error.value_or(root)));
  tap_.finish_reasons_ |= Bit(completed ? FinishReason::kStop : FinishReason::kLength);
  Terminal();
}

void EventReader::ReadMessages(const Members& members, std::string_view type) {
  if (type == "content_block_delta") return Content();
  if (type == "message_stop") return Terminal();
  if (members.usage) ReadUsage(*members.usage, tap_.usage_);
  const std::optional<Cursor>& holder = type == "message_start" ? members.message : members.delta;
  if (!holder || !holder->is_object()) return;
  Cursor fields = *holder;
  fields.EachMember([this](std::string_view key, Cursor value) {
    if (key == "usage") ReadUsage(value, tap_.usage_);
    if (key != "stop_reason") return;
    const FinishReason reason = ReadFinishReason(value);
    if (reason == FinishReason::kNone) return;
    tap_.finish_reasons_ |= Bit(reason);
    sighting_.commits = true;
  });
}

Sighting StreamTap::Parse(const SseEvent& event, JsonParser& parser) {
  Sighting sighting;
  const std::optional<Cursor> root = parser.workspace().ParseAnswer(event.data);
  if (root) {
    EventReader reader(*this, event.name, sighting);
    reader.Read(*root);
    const std::string_view text = reader.exchangeable_text();
    if (!text.empty() && event.name.empty()) template_.Learn(event.data, text);
  } else {
    sighting.malformed = true;
  }
  parser.workspace().Trim();
  return sighting;
}

Sighting StreamTap::Look(const SseEvent& event, JsonParser& parser) {
  Sighting sighting;
  if (!event.has_data) {
    sighting.malformed = event.has_junk;
  } else if (event.name.empty() && template_.Matches(event.data)) {
    sighting.content = sighting.commits = true;
  } else if (event.data.starts_with(kDone)) {
    sighting.done = true;
    done_seen_ |= HasDone(family_);
  } else {
    sighting = Parse(event, parser);
  }
  content_seen_ |= sighting.content;
  error_seen_ |= sighting.error;
  malformed_ += sighting.malformed ? 1 : 0;
  return sighting;
}

bool StreamTap::complete() const noexcept {
  if (!HasDone(family_)) return terminal_seen_;
  return !index_beyond_ && started_.any() && started_ == finished_ && finished_.count() >= choices_;
}

}  // namespace penstock::llm
