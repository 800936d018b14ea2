#include "llm/aggregate_state.hpp"

namespace penstock::llm {
namespace {

using Member = MergedMembers::Member;

void WriteMembers(std::string& out, const MergedMembers& members) {
  for (const Member& member : members.list()) {
    MergedMembers::WriteKey(out, member.key);
    MergedMembers::WriteValue(out, member);
  }
}

void WriteObject(std::string& out, const MergedMembers& members) {
  out += '{';
  WriteMembers(out, members);
  out += '}';
}

void WriteToolCalls(std::string& out, const std::vector<AggregatedToolCall>& calls) {
  out += '[';
  for (const auto& call : calls) {
    if (out.back() != '[') out += ',';
    out += '{';
    for (const Member& member : call.members.list()) {
      MergedMembers::WriteKey(out, member.key);
      if (member.key == "function") {
        WriteObject(out, call.function);
      } else if (member.key == "custom" && !call.custom.list().empty()) {
        WriteObject(out, call.custom);
      } else {
        MergedMembers::WriteValue(out, member);
      }
    }
    out += '}';
  }
  out += ']';
}

/// A message's text is null only beside something else that was said.
bool SaysMoreThanContent(const AggregatedChoice& choice) {
  for (const Member& member : choice.delta.list()) {
    if (member.key == "role" || member.key == "content") continue;
    if (member.joined != 0 ? !member.value.empty() : member.value != "null") return true;
  }
  return !choice.tool_calls.empty() || !choice.function_call.list().empty() || !choice.audio.list().empty();
}

void WriteMessage(std::string& out, const AggregatedChoice& choice) {
  const MergedMembers& delta = choice.delta;
  out += '{';
  if (!delta.Has("role")) out += R"("role":"assistant")";
  const std::string_view no_content = SaysMoreThanContent(choice) ? "null" : R"("")";
  for (const Member& member : delta.list()) {
    if (member.key == "role" && !delta.Has("role")) continue;
    MergedMembers::WriteKey(out, member.key);
    if (member.key == "tool_calls" && !choice.tool_calls.empty()) {
      WriteToolCalls(out, choice.tool_calls);
    } else if (member.key == "function_call" && !choice.function_call.list().empty()) {
      WriteObject(out, choice.function_call);
    } else if (member.key == "audio" && !choice.audio.list().empty()) {
      WriteObject(out, choice.audio);
    } else if (member.key == "content" && !delta.Has("content")) {
      out += no_content;
    } else {
      MergedMembers::WriteValue(out, member);
    }
  }
  if (delta.Find("content") == nullptr) {
    MergedMembers::WriteKey(out, "content");
    out += no_content;
  }
  out += '}';
}

/// "chat.completion.chunk" names an event; the whole is a "chat.completion".
void WriteObjectName(std::string& out, std::string_view value) {
  constexpr std::string_view kChunk = ".chunk\"";
  if (value.ends_with(kChunk)) {
    out += value.substr(0, value.size() - kChunk.size());
    out += '"';
  } else {
    out += value;
  }
}

}  // namespace

void Aggregator::State::WriteChoice(std::string& out, const AggregatedChoice& choice) const {
  out += R"({"index":)";
  out += std::to_string(choice.index);
  if (family == Family::kChat) {
    MergedMembers::WriteKey(out, "message");
    WriteMessage(out, choice);
  }
  for (const Member& member : choice.members.list()) {
    if (member.key == "delta") continue;
    MergedMembers::WriteKey(out, member.key);
    if (member.key == "logprobs" && !choice.logprobs.list().empty()) {
      WriteObject(out, choice.logprobs);
    } else {
      MergedMembers::WriteValue(out, member);
    }
  }
  out += '}';
}

void Aggregator::State::Write(std::string& out) const {
  out.reserve(out.size() + held + 256);
  out += '{';
  for (const Member& member : members.list()) {
    if (member.key == "usage" && !members.Has("usage")) continue;
    MergedMembers::WriteKey(out, member.key);
    if (member.key == "choices") {
      out += '[';
      for (const AggregatedChoice& choice : choices) {
        if (out.back() != '[') out += ',';
        WriteChoice(out, choice);
      }
      out += ']';
    } else if (member.key == "object") {
      WriteObjectName(out, member.value);
    } else {
      MergedMembers::WriteValue(out, member);
    }
  }
  out += '}';
}

}  // namespace penstock::llm
