#include "penstock/llm/answer.hpp"

#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/json/workspace.hpp"
#include "penstock/llm/document_end.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

void AddFinish(AnswerSummary& summary, FinishReason reason) {
  if (reason == FinishReason::kNone) {
    summary.complete = false;
  } else {
    summary.finish_reasons |= Bit(reason);
  }
}

void ReadChoices(Cursor& choices, AnswerSummary& summary) {
  if (!choices.is_array()) return;
  choices.EachElement([&summary](Cursor& choice) {
    ++summary.choices;
    FinishReason reason = FinishReason::kNone;
    if (choice.is_object()) {
      choice.EachMember([&reason](std::string_view key, Cursor& value) {
        if (key == "finish_reason") reason = ReadFinishReason(value);
      });
    }
    AddFinish(summary, reason);
  });
}

/// The finish reason of an answer that is one whole: Anthropic's stop_reason, a Responses status.
constexpr std::string_view SingleFinishField(Family family) {
  if (family == Family::kMessages) return "stop_reason";
  if (family == Family::kResponses) return "status";
  return {};
}

}  // namespace

AnswerSummary ReadAnswer(Family family, std::string_view body, JsonParser& parser) {
  AnswerSummary summary;
  std::optional<Cursor> root = parser.workspace().ParseAnswer(body);
  if (root && root->is_object()) {
    const std::string_view finish_field = SingleFinishField(family);
    std::optional<Cursor> timings;
    FinishReason single = FinishReason::kNone;
    summary.well_formed = summary.complete = true;
    root->EachMember([&](std::string_view key, Cursor& value) {
      if (key == "choices" && HasDone(family)) ReadChoices(value, summary);
      if (key == "usage") ReadUsage(value, summary.usage);
      if (key == "timings") timings = value;
      if (key == "error") summary.error |= IsErrorValue(value);
      if (key == "object" || key == "type") summary.error |= value.scalar() == "\"error\"";
      if (key == finish_field) single = ReadFinishReason(value);
    });
    if (timings && !summary.usage.known) ReadTimings(*timings, summary.usage);
    if (!finish_field.empty()) AddFinish(summary, single);
    if (HasDone(family)) summary.complete &= summary.choices != 0;
  }
  parser.workspace().Trim();
  return summary;
}

Usage ReadUsageAtEnd(std::string_view tail, JsonParser& parser) {
  constexpr std::string_view kMember = "\"usage\"";
  Usage usage;
  std::size_t begin = tail.rfind(kMember);
  if (begin == tail.npos) return usage;
  begin = tail.find_first_not_of(" \t\r\n:", begin + kMember.size());
  if (begin == tail.npos || tail[begin] != '{') return usage;
  DocumentEnd end;
  std::size_t size = 0;
  while (begin + size < tail.size() && !end.reached()) end.Feed(tail.substr(begin + size++, 1));
  if (!end.reached()) return usage;
  if (std::optional<Cursor> root = parser.workspace().ParseAnswer(tail.substr(begin, size))) ReadUsage(*root, usage);
  parser.workspace().Trim();
  return usage;
}

}  // namespace penstock::llm
