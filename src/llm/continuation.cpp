#include "penstock/llm/continuation.hpp"

#include <algorithm>
#include <array>

#include "llm/answer_fields.hpp"
#include "llm/json/string.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr std::string_view kPrefilled[] = {"continue_final_message", "add_generation_prompt", "echo"};
constexpr std::string_view kConstrained[] = {"structured_outputs", "guided_json", "guided_regex", "guided_choice",
                                             "guided_grammar",     "regex",       "json_schema",  "ebnf"};

bool IsOneOf(std::string_view key, std::span<const std::string_view> keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

bool SaysNothing(const Cursor& value) { return value.is_null() || value.first() == 'f'; }

/// `response_format: {"type": "text"}` says no more than none would.
bool IsTextFormat(Cursor format) {
  if (format.is_null()) return true;
  if (!format.is_object()) return false;
  bool text = false;
  format.EachMember(
      [&text](std::string_view key, Cursor& value) { text = text || (key == "type" && value.scalar() == "\"text\""); });
  return text;
}

/// Owned by one Worker. Copies a body member by member, and changes some.
class Continuation {
 public:
  Continuation(const RequestView& request, const Begun& begun)
      : chat_(request.family == Family::kChat), begun_(begun) {}

  std::optional<std::string> Write(Cursor root) {
    bool possible = true;
    out_ = "{";
    root.EachMember([&](std::string_view key, Cursor& value) { possible = possible && Take(key, value); });
    if (!possible || !continued_) return std::nullopt;
    if (chat_) out_ += R"(,"continue_final_message":true,"add_generation_prompt":false)";
    out_ += '}';
    return std::move(out_);
  }

 private:
  bool Take(std::string_view key, Cursor& value) {
    if (IsOneOf(key, kPrefilled)) return SaysNothing(value);  // and is left out
    if (IsOneOf(key, kConstrained) && !value.is_null()) return false;
    if (key == "response_format" && !IsTextFormat(value)) return false;
    if (key == "tool_choice" && value.scalar() != "\"auto\"" && value.scalar() != "\"none\"" && !value.is_null())
      return false;
    const bool limit = key == "max_tokens" || key == "max_completion_tokens";
    if ((limit || key == "min_tokens") && value.is_number()) return TakeCount(key, value, limit);
    Key(key);
    if (chat_ && key == "messages") return TakeMessages(value);
    if (!chat_ && key == "prompt") return TakePrompt(value);
    out_ += value.Take();
    return true;
  }

  void Key(std::string_view key) {
    if (out_.size() > 1) out_ += ',';
    out_ += '"';
    out_ += key;
    out_ += "\":";
  }

  bool TakeCount(std::string_view key, const Cursor& value, bool limit) {
    const std::uint32_t count = ReadCount(value);
    if (limit && count <= begun_.pieces) return false;
    Key(key);
    out_ += std::to_string(count - std::min(count, begun_.pieces));
    return true;
  }

  bool TakeMessages(Cursor& messages) {
    if (!messages.is_array()) return false;
    const bool first = messages.is_empty();
    std::string_view list = messages.Take();
    out_ += list.substr(0, list.size() - 1);
    out_ += first ? "" : ",";
    out_ += R"({"role":"assistant","content":)";
    json::AppendQuoted(out_, begun_.text);
    out_ += "}]";
    return continued_ = true;
  }

  bool TakePrompt(const Cursor& prompt) {
    if (!prompt.is_string()) return false;
    out_ += '"';
    out_ += prompt.raw_string();
    std::string quoted;
    json::AppendQuoted(quoted, begun_.text);
    out_ += std::string_view(quoted).substr(1);
    return continued_ = true;
  }

  bool chat_;
  const Begun& begun_;
  std::string out_;
  bool continued_ = false;
};

}  // namespace

std::optional<std::string> WriteContinuation(const RequestView& request, const Begun& begun, JsonParser& parser) {
  if (request.family != Family::kChat && request.family != Family::kCompletions) return std::nullopt;
  if (request.choices() != 1 || begun.text.empty()) return std::nullopt;
  const std::optional<Cursor> root = parser.workspace().ParseAnswer(request.body);
  std::optional<std::string> body;
  if (root && root->is_object()) body = Continuation(request, begun).Write(*root);
  parser.workspace().Trim();
  return body;
}

}  // namespace penstock::llm
