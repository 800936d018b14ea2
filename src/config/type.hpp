#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/time.hpp"
#include "penstock/config/load.hpp"

namespace penstock::config {

// How the configuration describes itself. A struct of include/penstock/config/ has one table of Fields
// (tables_*.cpp); the reader, the dump, the annotated defaults, the JSON Schema, the reference page and
// RestartKeys all walk these tables, so that a new key is a member and a row. Values are met as `void*` to a
// member whose Type says what it is: the walkers are plain functions, compiled once.

/// A scalar as the file has it.
struct Scalar {
  std::string_view text;
  bool quoted = false;
};

/// A scalar as we write it.
struct Spelling {
  enum class Style : std::uint8_t {
    kLiteral,  ///< a number or a boolean
    kWord,     ///< one of our own words: `10s`, `least_load`
    kString,   ///< the operator's text
  };
  std::string text;
  Style style = Style::kWord;
};

/// What a text must look like, once for the reader, the schema and the reference.
struct TextRule {
  bool (*matches)(std::string_view text);
  const char* message;  ///< "must be ..."
  const char* pattern;  ///< the same as an ECMA 262 expression
};

/// What a row demands of its value.
struct Rules {
  static constexpr std::int64_t kNoMin = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kNoMax = std::numeric_limits<std::int64_t>::max();

  std::int64_t min = kNoMin;  ///< in ns, bytes, bytes of text, or counted
  std::int64_t max = kNoMax;
  std::uint32_t count_min = 0;  ///< elements of a list
  std::uint32_t count_max = 10'000;
  const TextRule* text = nullptr;  ///< of every text that is not empty
  bool required = false;
  bool restart = false;  ///< a change takes effect at the next start only

  constexpr Rules Count(std::uint32_t low, std::uint32_t high) const {
    Rules rules = *this;
    rules.count_min = low;
    rules.count_max = high;
    return rules;
  }
  constexpr Rules Text(const TextRule& rule) const {
    Rules rules = *this;
    rules.text = &rule;
    return rules;
  }
  constexpr Rules Required() const {
    Rules rules = *this;
    rules.required = true;
    return rules;
  }
  constexpr Rules Restart() const {
    Rules rules = *this;
    rules.restart = true;
    return rules;
  }
};

constexpr Rules Between(std::int64_t low, std::int64_t high) {
  Rules rules;
  rules.min = low;
  rules.max = high;
  return rules;
}
constexpr Rules Between(Duration low, Duration high) { return Between(low.count(), high.count()); }
constexpr Rules Bytes(std::uint64_t low, std::uint64_t high) {
  return Between(static_cast<std::int64_t>(low), static_cast<std::int64_t>(high));
}

/// What people and schemas are told about a kind of scalar.
struct Facts {
  enum class Json : std::uint8_t { kString, kInteger, kNumber, kBoolean };
  std::string_view name;  ///< "duration"
  Json json = Json::kString;
  std::string_view pattern = {};             ///< of a string
  std::vector<std::string_view> words = {};  ///< the only values, or with `open` words taken besides others
  bool open = false;
  bool zero_without_unit = false;
  bool confidential = false;  ///< never repeat the value in a message
};

/// What reading a scalar may need besides its text.
struct ReadContext {
  const char* (*environment)(const char* name);
  std::vector<std::string>& warnings;
};

/// A bound of Rules for people.
struct BoundSpelling {
  std::string (*spell)(std::int64_t bound);
  const char* unit = "";  ///< once after both bounds
};

/// One kind of scalar.
struct ScalarType {
  Facts (*facts)();
  /// Empty: `value` is set. Else what is wrong: "must be ..."; `value` is untouched.
  std::string (*read)(const Scalar& scalar, const Rules& rules, const ReadContext& context, void* value);
  Spelling (*spell)(const void* value);
  bool (*equal)(const void* a, const void* b);  ///< by value: two secrets are spelled the same
  const BoundSpelling* bound = nullptr;         ///< null: rows cannot bound it
};

struct ListType;
struct SectionType;

/// Exactly one is set.
struct Type {
  const ScalarType* scalar = nullptr;
  const ListType* list = nullptr;
  const SectionType* section = nullptr;
};

/// A std::vector.
struct ListType {
  Type element;
  std::size_t (*size)(const void* list);
  const void* (*at)(const void* list, std::size_t index);
  void* (*append)(void* list);  ///< a default element at the end
  void (*clear)(void* list);
};

/// One key of a section: one row of a table.
struct Field {
  std::string_view name;
  std::string_view help;
  Rules rules;
  Type type;
  void* (*member)(void* section);

  const void* Of(const void* section) const { return member(const_cast<void*>(section)); }
};

/// A struct with a table.
struct SectionType {
  std::span<const Field> fields;
  const void* defaults;  ///< a default-constructed one
};

/// The root of all tables.
const SectionType& ConfigSection();

}  // namespace penstock::config
