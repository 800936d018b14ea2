#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/llm/json_value.hpp"

namespace penstock::llm {

/// What to do with the values that one member has in successive events.
enum class MergeRule : std::uint8_t {
  kFirst,     ///< the first that is not null
  kLast,      ///< the last that is not null
  kLastText,  ///< the last that is neither null nor ""
  kJoin,      ///< strings and arrays are joined; of others the last that is not null
};

/// Owned by one Worker. An object's members, merged over events, in the order in which they were first seen. Keys
/// and values are raw JSON.
class MergedMembers {
 public:
  static constexpr std::size_t kMembersMax = 256;  ///< of one object; a search walks them

  struct Member {
    std::string key;
    std::string value;  ///< without its quotes or brackets when `joined` says so
    char joined = 0;    ///< '"' or '[' for values that are joined, else 0
  };

  /// Takes the value at the cursor, and moves behind it. `held` is charged with the bytes kept. False: too many.
  bool Take(std::string_view key, json::Cursor& value, MergeRule rule, std::size_t& held);
  /// Appends the value at the cursor to an array, which is made when the member is new or null. False: too many
  /// members, or the member is no array.
  bool TakeElement(std::string_view key, json::Cursor& value, std::size_t& held);
  /// Remembers a place in the order for a member that is written by other means.
  void Mark(std::string_view key);

  const Member* Find(std::string_view key) const noexcept;
  /// Neither absent nor null.
  bool Has(std::string_view key) const noexcept;
  const std::vector<Member>& list() const noexcept { return members_; }

  static void WriteValue(std::string& out, const Member& member);
  /// Appends `"key":` with a comma before it unless `out` ends with an opening bracket.
  static void WriteKey(std::string& out, std::string_view key);

 private:
  Member* FindOrAdd(std::string_view key, std::size_t& held);

  std::vector<Member> members_;
};

}  // namespace penstock::llm
