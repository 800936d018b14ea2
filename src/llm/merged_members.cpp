#include "llm/merged_members.hpp"

namespace penstock::llm {
namespace {

constexpr std::string_view kNull = "null";

/// The inside of a string or array.
std::string_view Inside(std::string_view raw) { return raw.substr(1, raw.size() - 2); }

bool IsBlank(std::string_view text) {
  for (const char c : text) {
    if (!json::IsSpace(c)) return false;
  }
  return true;
}

}  // namespace

const MergedMembers::Member* MergedMembers::Find(std::string_view key) const noexcept {
  for (const Member& member : members_) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

bool MergedMembers::Has(std::string_view key) const noexcept {
  const Member* const member = Find(key);
  return member != nullptr && (member->joined != 0 || member->value != kNull);
}

MergedMembers::Member* MergedMembers::FindOrAdd(std::string_view key, std::size_t& held) {
  for (Member& member : members_) {
    if (member.key == key) return &member;
  }
  if (members_.size() == kMembersMax) return nullptr;
  held += sizeof(Member) + key.size();
  members_.push_back({std::string(key), std::string(kNull), 0});
  return &members_.back();
}

void MergedMembers::Mark(std::string_view key) {
  std::size_t held = 0;
  FindOrAdd(key, held);
}

bool MergedMembers::Take(std::string_view key, json::Cursor& value, MergeRule rule, std::size_t& held) {
  Member* const member = FindOrAdd(key, held);
  if (member == nullptr) return false;
  if (value.is_null()) return true;
  const bool fresh = member->joined == 0 && member->value == kNull;
  if (rule == MergeRule::kFirst && !fresh) return true;
  if (rule == MergeRule::kLastText && value.is_string() && value.is_empty() && !fresh) return true;
  const char kind = rule == MergeRule::kJoin && (value.is_string() || value.is_array()) ? value.first() : '\0';
  const std::string_view raw = value.Take();
  held += raw.size();
  if (kind == 0 || kind != member->joined) {
    member->joined = kind;
    member->value.assign(kind == 0 ? raw : Inside(raw));
    return true;
  }
  const std::string_view more = Inside(raw);
  if (kind == '[') {
    if (IsBlank(more)) return true;
    if (!IsBlank(member->value)) member->value += ',';
  }
  member->value.append(more);
  return true;
}

bool MergedMembers::TakeElement(std::string_view key, json::Cursor& value, std::size_t& held) {
  Member* const member = FindOrAdd(key, held);
  if (member == nullptr) return false;
  if (member->joined == 0 && member->value == kNull) {
    member->joined = '[';
    member->value.clear();
  }
  if (member->joined != '[') return false;
  const std::string_view raw = value.Take();
  held += raw.size();
  if (!IsBlank(member->value)) member->value += ',';
  member->value.append(raw);
  return true;
}

void MergedMembers::WriteValue(std::string& out, const Member& member) {
  if (member.joined == 0) {
    out += member.value;
    return;
  }
  out += member.joined;
  out += member.value;
  out += member.joined == '"' ? '"' : ']';
}

void MergedMembers::WriteKey(std::string& out, std::string_view key) {
  if (out.back() != '{') out += ',';
  out += '"';
  out += key;
  out += "\":";
}

}  // namespace penstock::llm
