#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "llm/merged_members.hpp"
#include "penstock/llm/aggregate.hpp"

namespace penstock::llm {

/// Owned by one Worker. One tool call of a choice.
struct AggregatedToolCall {
  std::uint32_t index = 0;
  MergedMembers members;  ///< `function` and `custom` are marks
  MergedMembers function;
  MergedMembers custom;
};

/// Owned by one Worker. One choice.
struct AggregatedChoice {
  std::uint32_t index = 0;
  MergedMembers members;  ///< `delta` and `logprobs` are marks
  MergedMembers delta;    ///< `tool_calls`, `function_call` and `audio` are marks
  MergedMembers function_call;
  MergedMembers audio;
  MergedMembers logprobs;
  std::vector<AggregatedToolCall> tool_calls;  ///< sorted by index
};

/// Owned by one Worker. What an Aggregator has collected.
struct Aggregator::State {
  /// More of either is no answer of a language model, and a search walks them.
  static constexpr std::size_t kChoicesMax = 1024;
  static constexpr std::size_t kToolCallsMax = 1024;

  State(Family a_family, std::size_t a_bytes_max) : family(a_family), bytes_max(a_bytes_max) {}

  bool TakeRoot(json::Cursor root);
  void Write(std::string& out) const;

  Family family;
  std::size_t bytes_max;
  std::size_t held = 0;
  MergedMembers members;                  ///< of the top level; `choices` is a mark
  std::vector<AggregatedChoice> choices;  ///< sorted by index

 private:
  bool TakeChoice(json::Cursor& choice);
  bool TakeChoiceMember(AggregatedChoice& choice, std::string_view key, json::Cursor& value);
  bool TakeDelta(AggregatedChoice& choice, json::Cursor& delta);
  bool TakeToolCalls(AggregatedChoice& choice, json::Cursor& calls);
  bool TakeToolCall(AggregatedChoice& choice, json::Cursor& call);
  bool TakeCalled(MergedMembers& called, json::Cursor& value);
  bool TakeAudio(MergedMembers& audio, json::Cursor& value);
  void WriteChoice(std::string& out, const AggregatedChoice& choice) const;
};

}  // namespace penstock::llm
