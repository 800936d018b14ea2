#include "penstock/llm/aggregate.hpp"

#include <algorithm>

#include "llm/aggregate_state.hpp"
#include "llm/answer_fields.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

/// The member `index` of an object, `otherwise` when it has none.
std::uint32_t IndexOf(Cursor object, std::uint32_t otherwise) {
  std::uint32_t index = otherwise;
  object.EachMember([&index](std::string_view key, Cursor& value) {
    if (key == "index" && value.is_number()) index = ReadCount(value);
  });
  return index;
}

/// The element with that index of a sorted vector, made when it is new; null when there are too many.
template <class Indexed>
Indexed* ElementOf(std::vector<Indexed>& elements, std::uint32_t index, std::size_t count_max, std::size_t& held) {
  auto place = std::lower_bound(elements.begin(), elements.end(), index,
                                [](const Indexed& element, std::uint32_t i) { return element.index < i; });
  if (place != elements.end() && place->index == index) return &*place;
  if (elements.size() == count_max) return nullptr;
  held += sizeof(Indexed);
  place = elements.emplace(place);
  place->index = index;
  return &*place;
}

bool IsFirstOnly(std::string_view key) {
  return key == "id" || key == "object" || key == "created" || key == "model" || key == "system_fingerprint";
}

Error Refuse(const char* context) { return UpstreamError(ErrorCode::kUpstreamProtocol, Retry::kUnproven, context); }

}  // namespace

Aggregator::Aggregator(Family family, std::size_t bytes_max) : state_(std::make_unique<State>(family, bytes_max)) {}
Aggregator::~Aggregator() = default;
Aggregator::Aggregator(Aggregator&&) noexcept = default;
Aggregator& Aggregator::operator=(Aggregator&&) noexcept = default;

std::size_t Aggregator::size() const noexcept { return state_->held; }
void Aggregator::Write(std::string& out) const { state_->Write(out); }

std::optional<Error> Aggregator::Add(std::string_view data, JsonParser& parser) {
  const std::optional<Cursor> root = parser.workspace().ParseAnswer(data);
  if (!root || !root->is_object()) return Refuse("a stream event is not a JSON object");
  if (!state_->TakeRoot(*root)) return Refuse("a streamed answer has too many parts, or such as cannot be joined");
  if (state_->held > state_->bytes_max) return Refuse("a streamed answer is too large");
  return std::nullopt;
}

bool Aggregator::State::TakeRoot(Cursor root) {
  bool fits = true;
  root.EachMember([&](std::string_view key, Cursor& value) {
    if (key == "choices" && value.is_array()) {
      members.Mark(key);
      value.EachElement([&](Cursor& choice) { fits = fits && (!choice.is_object() || TakeChoice(choice)); });
    } else if (key != "obfuscation") {  // padding that hides the length of a token; means nothing here
      fits = fits && members.Take(key, value, IsFirstOnly(key) ? MergeRule::kFirst : MergeRule::kLast, held);
    }
  });
  return fits;
}

bool Aggregator::State::TakeChoice(Cursor& choice) {
  AggregatedChoice* const into = ElementOf(choices, IndexOf(choice, 0), kChoicesMax, held);
  if (into == nullptr) return false;
  bool fits = true;
  choice.EachMember([&](std::string_view key, Cursor& value) { fits = fits && TakeChoiceMember(*into, key, value); });
  return fits;
}

bool Aggregator::State::TakeChoiceMember(AggregatedChoice& choice, std::string_view key, Cursor& value) {
  if (key == "index" || (family == Family::kChat && key == "message")) return true;
  if (key == "delta" || key == "logprobs") choice.members.Mark(key);
  if (key == "delta") return !value.is_object() || TakeDelta(choice, value);
  if (key == "logprobs") {
    bool fits = true;
    if (value.is_object()) {
      value.EachMember([&](std::string_view name, Cursor& list) {
        fits = fits && choice.logprobs.Take(name, list, MergeRule::kJoin, held);
      });
    }
    return fits;
  }
  if (key == "finish_reason") return choice.members.Take(key, value, MergeRule::kLastText, held);
  const bool joined = key == "text" || value.is_array();
  return choice.members.Take(key, value, joined ? MergeRule::kJoin : MergeRule::kLast, held);
}

bool Aggregator::State::TakeDelta(AggregatedChoice& choice, Cursor& delta) {
  bool fits = true;
  delta.EachMember([&](std::string_view key, Cursor& value) {
    if (!fits) return;
    if (key == "tool_calls" && value.is_array() && !value.is_empty()) {
      choice.delta.Mark(key);
      fits = TakeToolCalls(choice, value);
    } else if (key == "function_call" && value.is_object()) {
      choice.delta.Mark(key);
      fits = TakeCalled(choice.function_call, value);
    } else if (key == "audio" && value.is_object()) {
      choice.delta.Mark(key);
      fits = TakeAudio(choice.audio, value);
    } else {
      fits = choice.delta.Take(key, value, key == "role" ? MergeRule::kFirst : MergeRule::kJoin, held);
    }
  });
  return fits;
}

bool Aggregator::State::TakeToolCalls(AggregatedChoice& choice, Cursor& calls) {
  bool fits = true;
  calls.EachElement([&](Cursor& call) { fits = fits && (!call.is_object() || TakeToolCall(choice, call)); });
  return fits;
}

bool Aggregator::State::TakeToolCall(AggregatedChoice& choice, Cursor& call) {
  // A call without an index is whole: it comes behind the others.
  const std::uint32_t next = choice.tool_calls.empty() ? 0 : choice.tool_calls.back().index + 1;
  AggregatedToolCall* const into = ElementOf(choice.tool_calls, IndexOf(call, next), kToolCallsMax, held);
  if (into == nullptr) return false;
  bool fits = true;
  call.EachMember([&](std::string_view key, Cursor& value) {
    if (!fits || key == "index") return;
    if (key == "function" && value.is_object()) {
      into->members.Mark(key);
      fits = TakeCalled(into->function, value);
    } else if (key == "custom" && value.is_object()) {
      into->members.Mark(key);
      fits = TakeCalled(into->custom, value);
    } else {
      fits = into->members.Take(key, value, MergeRule::kLastText, held);
    }
  });
  return fits;
}

bool Aggregator::State::TakeCalled(MergedMembers& called, Cursor& value) {
  bool fits = true;
  value.EachMember([&](std::string_view key, Cursor& part) {
    const bool joined = key == "arguments" || key == "input";
    fits = fits && called.Take(key, part, joined ? MergeRule::kJoin : MergeRule::kLastText, held);
  });
  return fits;
}

bool Aggregator::State::TakeAudio(MergedMembers& audio, Cursor& value) {
  bool fits = true;
  value.EachMember([&](std::string_view key, Cursor& part) {
    const bool joined = key == "data" || key == "transcript";
    if (key == "data" && part.is_string() && !part.is_empty()) {
      const MergedMembers::Member* const before = audio.Find(key);
      fits = fits && (before == nullptr || !before->value.ends_with('='));  // base64 does not go on behind its padding
    }
    fits = fits && audio.Take(key, part, joined ? MergeRule::kJoin : MergeRule::kLast, held);
  });
  return fits;
}

}  // namespace penstock::llm
