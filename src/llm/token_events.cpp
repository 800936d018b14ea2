// Chat and completions: "chat.completion" and "text_completion" as chunks.

#include <array>
#include <bitset>
#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/family_events.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

/// What every chunk repeats.
constexpr std::string_view kIdentity[] = {"id", "created", "model", "system_fingerprint", "service_tier"};
/// What servers send at the end: llama.cpp's and vLLM's measurements.
constexpr std::string_view kLateOfDocument[] = {"timings", "metrics"};
/// What stopped the model, beside the finish reason: vLLM's and SGLang's.
constexpr std::string_view kLateOfChoice[] = {"stop_reason", "matched_stop"};

template <std::size_t N>
constexpr bool IsOneOf(std::string_view key, const std::string_view (&keys)[N]) {
  for (const std::string_view each : keys) {
    if (each == key) return true;
  }
  return false;
}

/// Two names for the same text; a server may send both, in the same chunk.
bool IsReasoning(std::string_view key) { return key == "reasoning_content" || key == "reasoning"; }

bool IsText(const Cursor& value) { return value.is_string() && !value.is_empty(); }

/// A message's member that gets chunks of its own, behind the one with the role.
bool HasOwnChunk(std::string_view key, const Cursor& value) {
  if (key == "content") return IsText(value) || (value.is_array() && !value.is_empty());
  if (key == "refusal" || IsReasoning(key)) return IsText(value);
  if (key == "tool_calls") return value.is_array() && !value.is_empty();
  return key == "function_call" && value.is_object() && !value.is_empty();
}

bool HasEscapedKey(Cursor object) {
  bool escaped = false;
  object.EachMember([&escaped](std::string_view key, Cursor&) { escaped = escaped || IsEscaped(key); });
  return escaped;
}

std::string_view Raw(Cursor value) { return value.Take(); }

/// A choice of the whole answer. Cursors are bookmarks.
struct WholeChoice {
  std::uint32_t index = 0;
  Cursor object;
  std::optional<Cursor> message = {}, text = {}, finish_reason = {}, logprobs = {};
};

/// What stands in a chunk's choice.
struct ChunkParts {
  bool first = false;     ///< of its choice: what else the choice has
  bool logprobs = false;  ///< else null, when the choice has any
  bool finish = false;
};

/// Owned by one Worker. Writes the chunks of one answer.
class TokenEvents {
 public:
  TokenEvents(const EventForm& form, Cursor answer, EventText& text)
      : chat_(form.family == Family::kChat), include_usage_(form.include_usage), answer_(answer), text_(text) {}

  const char* Write();

 private:
  const char* ReadDocument();
  const char* ReadChoice(Cursor object, WholeChoice& choice);
  const char* WriteChat(const WholeChoice& choice);
  void WriteText(const WholeChoice& choice);
  void WriteRole(const WholeChoice& choice);
  void WriteReasoning(const WholeChoice& choice);
  const char* WriteToolCalls(const WholeChoice& choice, Cursor calls);
  void WriteToolCall(Cursor call, std::size_t index);
  void WriteDelta(const WholeChoice& choice, std::string_view key, const Cursor& value, bool logprobs);
  void WriteFinish(const WholeChoice& choice, bool logprobs);
  void WriteUsage();

  void OpenChunk();
  /// Opens a chunk up to its choice's index; the caller writes `delta` or `text`.
  void OpenChoice(const WholeChoice& choice);
  void CloseChoice(const WholeChoice& choice, ChunkParts parts);
  void OpenDelta(const WholeChoice& choice);
  void CloseDelta(const WholeChoice& choice, ChunkParts parts);
  bool IsChoiceExtra(std::string_view key) const;

  bool chat_;
  bool include_usage_;
  Cursor answer_;
  EventText& text_;
  std::array<std::string_view, std::size(kIdentity)> identity_;
  std::string_view object_;
  std::optional<Cursor> choices_, usage_;
  std::size_t choices_left_ = 0;
  bool first_chunk_ = true;
};

const char* TokenEvents::ReadDocument() {
  const char* refusal = nullptr;
  Cursor answer = answer_;
  answer.EachMember([&](std::string_view key, Cursor& value) {
    if (IsEscaped(key)) refusal = kEscapedKey;
    if (key == "error" && IsErrorValue(value)) refusal = "a stored answer is an error";
    if (key == "choices" && value.is_array()) choices_ = value;
    if (key == "usage" && value.is_object()) usage_ = value;
    if (key == "object") object_ = Raw(value);
    for (std::size_t i = 0; i < identity_.size(); ++i) {
      if (key == kIdentity[i]) identity_[i] = Raw(value);
    }
  });
  if (object_ == R"("error")") refusal = "a stored answer is an error";
  if (refusal != nullptr) return refusal;
  if (choices_) Cursor(*choices_).EachElement([this](Cursor&) { ++choices_left_; });
  return choices_left_ == 0 ? "a stored answer has no choices" : nullptr;
}

const char* TokenEvents::ReadChoice(Cursor object, WholeChoice& choice) {
  bool escaped = false;
  object.EachMember([&](std::string_view key, Cursor& value) {
    escaped = escaped || IsEscaped(key);
    if (key == "index" && value.is_number()) choice.index = ReadCount(value);
    if (key == "message" && value.is_object()) choice.message = value;
    if (key == "text" && value.is_string()) choice.text = value;
    if (key == "finish_reason") choice.finish_reason = value;
    if (key == "logprobs") choice.logprobs = value;
  });
  if (escaped) return kEscapedKey;
  if (chat_ ? !choice.message : !choice.text) return "a choice of a stored answer says nothing";
  const FinishReason reason = choice.finish_reason ? ReadFinishReason(*choice.finish_reason) : FinishReason::kNone;
  if (reason == FinishReason::kNone || reason == FinishReason::kAbort) {
    return "a choice of a stored answer has not ended";
  }
  return nullptr;
}

const char* TokenEvents::Write() {
  if (const char* refusal = ReadDocument()) return refusal;
  const char* refusal = nullptr;
  std::bitset<kTrackedChoices> seen;
  std::uint32_t position = 0;
  choices_->EachElement([&](Cursor& element) {
    if (refusal != nullptr || !text_.fits()) return;
    WholeChoice choice{.index = position++, .object = element};
    refusal = element.is_object() ? ReadChoice(element, choice) : "a choice of a stored answer is no object";
    if (refusal != nullptr) return;
    if (choice.index >= seen.size() || seen.test(choice.index)) {
      refusal = "the choices of a stored answer are not told apart by their indexes";
      return;
    }
    seen.set(choice.index);
    --choices_left_;
    if (chat_) {
      refusal = WriteChat(choice);
    } else {
      WriteText(choice);
    }
  });
  if (refusal != nullptr) return refusal;
  if (include_usage_ && usage_) WriteUsage();
  text_.Put("data: [DONE]\n\n");
  return nullptr;
}

void TokenEvents::OpenChunk() {
  text_.Open();
  for (std::size_t i = 0; i < identity_.size(); ++i) {
    if (!identity_[i].empty()) text_.Member(kIdentity[i], identity_[i]);
    if (i != 0) continue;
    text_.Key("object");
    if (chat_) {
      text_.Put(R"("chat.completion.chunk")");
    } else {
      text_.Value(object_.empty() ? R"("text_completion")" : object_);
    }
  }
  if (!first_chunk_) return;
  first_chunk_ = false;
  Cursor(answer_).EachMember([this](std::string_view key, Cursor& value) {
    if (key == "object" || key == "choices" || key == "usage") return;
    if (!IsOneOf(key, kIdentity) && !IsOneOf(key, kLateOfDocument)) text_.Member(key, value.Take());
  });
}

void TokenEvents::OpenChoice(const WholeChoice& choice) {
  OpenChunk();
  text_.Key("choices");
  text_.Put("[{");
  text_.Count("index", choice.index);
}

bool TokenEvents::IsChoiceExtra(std::string_view key) const {
  if (key == "index" || key == "delta" || key == "logprobs" || key == "finish_reason") return false;
  return key != (chat_ ? "message" : "text") && !IsOneOf(key, kLateOfChoice);
}

void TokenEvents::CloseChoice(const WholeChoice& choice, ChunkParts parts) {
  if (choice.logprobs) text_.Member("logprobs", parts.logprobs ? Raw(*choice.logprobs) : "null");
  text_.Member("finish_reason", parts.finish ? Raw(*choice.finish_reason) : "null");
  if (parts.first || parts.finish) {
    Cursor(choice.object).EachMember([&](std::string_view key, Cursor& value) {
      if ((parts.first && IsChoiceExtra(key)) || (parts.finish && IsOneOf(key, kLateOfChoice))) {
        text_.Member(key, value.Take());
      }
    });
  }
  text_.Put("}]");
  if (parts.finish && choices_left_ == 0) {
    Cursor(answer_).EachMember([this](std::string_view key, Cursor& value) {
      if (IsOneOf(key, kLateOfDocument)) text_.Member(key, value.Take());
    });
  }
  text_.Close();
}

void TokenEvents::OpenDelta(const WholeChoice& choice) {
  OpenChoice(choice);
  text_.Key("delta");
  text_.Put("{");
}

void TokenEvents::CloseDelta(const WholeChoice& choice, ChunkParts parts) {
  text_.Put("}");
  CloseChoice(choice, parts);
}

void TokenEvents::WriteFinish(const WholeChoice& choice, bool logprobs) {
  OpenChoice(choice);
  text_.Member(chat_ ? "delta" : "text", chat_ ? "{}" : R"("")");
  CloseChoice(choice, {.logprobs = logprobs, .finish = true});
}

void TokenEvents::WriteUsage() {
  OpenChunk();
  text_.Member("choices", "[]");
  text_.Member("usage", Raw(*usage_));
  text_.Close();
}

void TokenEvents::WriteText(const WholeChoice& choice) {
  OpenChoice(choice);
  text_.Member("text", Raw(*choice.text));
  CloseChoice(choice, {.first = true, .logprobs = true});
  WriteFinish(choice, false);
}

void TokenEvents::WriteRole(const WholeChoice& choice) {
  OpenDelta(choice);
  std::string_view role = R"("assistant")";
  Cursor(*choice.message).EachMember([&role](std::string_view key, Cursor& value) {
    if (key == "role" && !value.is_null()) role = Raw(value);
  });
  text_.Member("role", role);
  Cursor(*choice.message).EachMember([this](std::string_view key, Cursor& value) {
    if (key == "role") return;
    if (!HasOwnChunk(key, value)) return text_.Member(key, value.Take());
    if (key == "content" && value.is_string()) text_.Member(key, R"("")");
  });
  CloseDelta(choice, {.first = true});
}

void TokenEvents::WriteReasoning(const WholeChoice& choice) {
  bool any = false;
  Cursor(*choice.message).EachMember([&](std::string_view key, Cursor& value) {
    if (!IsReasoning(key) || !IsText(value)) return;
    if (!any) OpenDelta(choice);
    any = true;
    text_.Member(key, value.Take());
  });
  if (any) CloseDelta(choice, {});
}

void TokenEvents::WriteDelta(const WholeChoice& choice, std::string_view key, const Cursor& value, bool logprobs) {
  OpenDelta(choice);
  text_.Member(key, Raw(value));
  CloseDelta(choice, {.logprobs = logprobs});
}

const char* TokenEvents::WriteChat(const WholeChoice& choice) {
  std::optional<Cursor> content, refusal, tool_calls, function_call;
  bool escaped = false;
  Cursor(*choice.message).EachMember([&](std::string_view key, Cursor& value) {
    escaped = escaped || IsEscaped(key);
    if (!HasOwnChunk(key, value)) return;
    if (key == "content") content = value;
    if (key == "refusal") refusal = value;
    if (key == "tool_calls") tool_calls = value;
    if (key == "function_call") function_call = value;
  });
  if (escaped) return kEscapedKey;
  WriteRole(choice);
  WriteReasoning(choice);
  if (content) WriteDelta(choice, "content", *content, true);
  if (refusal) WriteDelta(choice, "refusal", *refusal, !content);
  if (tool_calls) {
    if (const char* why = WriteToolCalls(choice, *tool_calls)) return why;
  }
  if (function_call) WriteDelta(choice, "function_call", *function_call, false);
  WriteFinish(choice, !content && !refusal);
  return nullptr;
}

const char* TokenEvents::WriteToolCalls(const WholeChoice& choice, Cursor calls) {
  const char* refusal = nullptr;
  std::size_t index = 0;
  calls.EachElement([&](Cursor& call) {
    if (!call.is_object()) refusal = "a tool call of a stored answer is no object";
    if (call.is_object() && HasEscapedKey(call)) refusal = kEscapedKey;
    if (refusal != nullptr) return;
    OpenDelta(choice);
    text_.Key("tool_calls");
    text_.Put("[{");
    WriteToolCall(call, index++);
    text_.Put("}]");
    CloseDelta(choice, {});
  });
  return refusal;
}

void TokenEvents::WriteToolCall(Cursor call, std::size_t index) {
  text_.Count("index", index);
  call.EachMember([this](std::string_view key, Cursor& value) {
    if (key != "index") text_.Member(key, value.Take());
  });
}

}  // namespace

const char* WriteTokenEvents(const EventForm& form, Cursor answer, EventText& text) {
  return TokenEvents(form, answer, text).Write();
}

}  // namespace penstock::llm
