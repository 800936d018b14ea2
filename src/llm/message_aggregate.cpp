#include "llm/message_aggregate.hpp"

#include <optional>

#include "llm/answer_fields.hpp"
#include "llm/json/string.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

/// What a delta adds to its block.
struct DeltaRule {
  std::string_view type;
  std::string_view member;  ///< of the delta
  std::string_view key;     ///< of the block
  MergeRule rule;
};
constexpr DeltaRule kDeltas[] = {
    {"text_delta", "text", "text", MergeRule::kJoin},
    {"thinking_delta", "thinking", "thinking", MergeRule::kJoin},
    {"signature_delta", "signature", "signature", MergeRule::kLast},
};

/// Starts of texts that deltas go on with.
bool IsJoined(std::string_view key) { return key == "text" || key == "thinking" || key == "citations"; }

std::string_view TypeOf(Cursor object) {
  std::string_view type;
  object.EachMember([&type](std::string_view key, Cursor& value) {
    if (key == "type" && value.is_string()) type = value.raw_string();
  });
  return type;
}

std::optional<Cursor> MemberOf(Cursor object, std::string_view name) {
  std::optional<Cursor> member;
  object.EachMember([&](std::string_view key, Cursor& value) {
    if (key == name) member = value;
  });
  return member;
}

}  // namespace

bool MessageAggregate::Add(std::string_view data, JsonParser& parser) {
  const std::optional<Cursor> event = parser.workspace().ParseUnambiguous(data);
  return event && event->is_object() && TakeEvent(*event) && held_ <= bytes_max_;
}

bool MessageAggregate::TakeEvent(Cursor event) {
  const std::string_view type = TypeOf(event);
  if (type == "ping" || type == "message_stop" || type == "content_block_stop") return true;
  if (type == "message_delta") return TakeEnd(event);
  const std::string_view holder = type == "message_start"         ? "message"
                                  : type == "content_block_start" ? "content_block"
                                  : type == "content_block_delta" ? "delta"
                                                                  : "";
  const std::optional<Cursor> part = holder.empty() ? std::nullopt : MemberOf(event, holder);
  if (!part || !part->is_object()) return false;
  if (type == "message_start") return TakeStart(*part);
  const std::optional<Cursor> at = MemberOf(event, "index");
  if (!at || !at->is_number()) return false;
  return type == "content_block_start" ? TakeBlock(*part, ReadCount(*at)) : TakeDelta(*part, ReadCount(*at));
}

bool MessageAggregate::TakeStart(Cursor message) {
  if (!members_.list().empty()) return false;
  bool fits = true;
  message.EachMember([&](std::string_view key, Cursor& value) {
    if (key == "content") {
      members_.Mark(key);
      fits = fits && value.is_array() && value.is_empty();
    } else if (key == "usage" && value.is_object()) {
      fits = fits && TakeUsage(value);
    } else {
      fits = fits && members_.Take(key, value, MergeRule::kLast, held_);
    }
  });
  return fits && members_.Find("content") != nullptr;
}

bool MessageAggregate::TakeUsage(Cursor usage) {
  members_.Mark("usage");
  bool fits = true;
  usage.EachMember(
      [&](std::string_view key, Cursor& value) { fits = fits && usage_.Take(key, value, MergeRule::kLast, held_); });
  return fits;
}

bool MessageAggregate::TakeBlock(Cursor block, std::uint32_t index) {
  if (members_.list().empty() || index != blocks_.size() || index == kBlocksMax) return false;
  held_ += sizeof(Block);
  Block& into = blocks_.emplace_back();
  bool fits = true;
  block.EachMember([&](std::string_view key, Cursor& value) {
    fits = fits && into.members.Take(key, value, IsJoined(key) ? MergeRule::kJoin : MergeRule::kLast, held_);
  });
  return fits;
}

bool MessageAggregate::TakeDelta(Cursor delta, std::uint32_t index) {
  if (index >= blocks_.size()) return false;
  Block& block = blocks_[index];
  const std::string_view type = TypeOf(delta);
  if (type == "input_json_delta") return TakeInput(delta, block);
  if (type == "citations_delta") {
    std::optional<Cursor> citation = MemberOf(delta, "citation");
    return citation && block.members.TakeElement("citations", *citation, held_);
  }
  for (const DeltaRule& row : kDeltas) {
    if (row.type != type) continue;
    std::optional<Cursor> text = MemberOf(delta, row.member);
    return text && text->is_string() && block.members.Take(row.key, *text, row.rule, held_);
  }
  return false;
}

bool MessageAggregate::TakeInput(Cursor delta, Block& block) {
  const std::optional<Cursor> piece = MemberOf(delta, "partial_json");
  if (!piece || !piece->is_string() || block.members.Find("input") == nullptr) return false;
  held_ += piece->raw_string().size();
  block.input += piece->raw_string();
  return true;
}

bool MessageAggregate::TakeEnd(Cursor event) {
  if (members_.list().empty()) return false;
  bool fits = true;
  event.EachMember([&](std::string_view key, Cursor& value) {
    if (!fits || key == "type") return;
    if (key == "usage" && value.is_object()) {
      fits = TakeUsage(value);
    } else if (key != "delta") {
      fits = members_.Take(key, value, MergeRule::kLast, held_);
    } else if (value.is_object()) {
      value.EachMember([&](std::string_view name, Cursor& member) {
        fits = fits && name != "content" && members_.Take(name, member, MergeRule::kLast, held_);
      });
    }
  });
  return fits;
}

bool MessageAggregate::WriteBlock(std::string& out, const Block& block, JsonParser& parser) const {
  std::string input;
  if (!block.input.empty()) {
    if (json::FindBadEscape(block.input, 0, json::Escapes::kText) != std::string_view::npos) return false;
    input.resize(block.input.size());
    input.resize(json::Unescape(block.input, input));
    const std::optional<Cursor> parsed = parser.workspace().ParseAnswer(input);
    if (!parsed || !parsed->is_object()) return false;
  }
  out += '{';
  for (const MergedMembers::Member& member : block.members.list()) {
    MergedMembers::WriteKey(out, member.key);
    if (member.key == "input" && !input.empty()) {
      out += input;
    } else {
      MergedMembers::WriteValue(out, member);
    }
  }
  out += '}';
  return true;
}

bool MessageAggregate::Write(std::string& out, JsonParser& parser) const {
  if (members_.list().empty()) return false;
  out += '{';
  for (const MergedMembers::Member& member : members_.list()) {
    MergedMembers::WriteKey(out, member.key);
    if (member.key == "content") {
      out += '[';
      for (const Block& block : blocks_) {
        if (out.back() != '[') out += ',';
        if (!WriteBlock(out, block, parser)) return false;
      }
      out += ']';
    } else if (member.key == "usage" && !usage_.list().empty()) {
      out += '{';
      for (const MergedMembers::Member& count : usage_.list()) {
        MergedMembers::WriteKey(out, count.key);
        MergedMembers::WriteValue(out, count);
      }
      out += '}';
    } else {
      MergedMembers::WriteValue(out, member);
    }
  }
  out += '}';
  return true;
}

}  // namespace penstock::llm
