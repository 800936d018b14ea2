#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/enums.hpp"
#include "config/type.hpp"
#include "penstock/base/address.hpp"
#include "penstock/base/digest.hpp"
#include "penstock/base/secret.hpp"
#include "penstock/config/config.hpp"

namespace penstock::config {

// How each kind of scalar is read, spelled and described. A format has
//   Value, Describe() -> Facts, Read(scalar, [context,] value) -> problem or empty, Spell(value) -> Spelling,
// and, when rows may bound it, Measure(value) and kBound.

/// "must be between 1s and 10s" when `measure` is outside the rules, else empty.
/// Without a measure (`auto`) there is nothing to check.
std::string CheckBounds(std::optional<std::int64_t> measure, const Rules& rules, const BoundSpelling& spelling);

/// "must be one of a, b, c"
std::string OneOf(const std::vector<std::string_view>& words);

struct FlagFormat {
  using Value = bool;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

struct CountFormat {
  using Value = std::uint32_t;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
  static std::int64_t Measure(const Value& value) { return value; }
  static const BoundSpelling kBound;
};

struct NumberFormat {
  using Value = double;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
  static std::int64_t Measure(const Value& value);
  static const BoundSpelling kBound;
};

struct DurationFormat {
  using Value = Duration;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
  static std::int64_t Measure(const Value& value) { return value.count(); }
  static const BoundSpelling kBound;
};

/// Bytes: 64KiB.
struct SizeFormat {
  using Value = std::uint64_t;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
  static std::int64_t Measure(const Value& value) { return static_cast<std::int64_t>(value); }
  static const BoundSpelling kBound;
};

/// Bytes per second: 1KiB/s.
struct RateFormat {
  using Value = std::uint64_t;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
  static std::int64_t Measure(const Value& value) { return static_cast<std::int64_t>(value); }
  static const BoundSpelling kBound;
};

/// Any text; rows bound its bytes and give it a TextRule.
struct TextFormat {
  using Value = std::string;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
  static std::int64_t Measure(const Value& value) { return static_cast<std::int64_t>(value.size()); }
  static const BoundSpelling kBound;
};

/// Header field names are lower case inside.
struct HeaderNameFormat : TextFormat {
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
};

/// Inline, `${NAME}` anywhere in it, or `file:PATH`.
struct SecretFormat {
  using Value = Secret;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, const ReadContext& context, Value& value);
  static Spelling Spell(const Value& value);
};

/// A secret whose text is a Redis URL; all but its password is shown.
struct RedisUrlFormat {
  using Value = Secret;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, const ReadContext& context, Value& value);
  static Spelling Spell(const Value& value);
};

struct AddressFormat {
  using Value = SocketAddress;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

struct PrefixFormat {
  using Value = IpPrefix;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

struct UrlFormat {
  using Value = Url;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

/// SHA-256 as 64 hexadecimal digits. No secret: nobody can use it to ask.
struct DigestFormat {
  using Value = Digest;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

struct AccessLogFormat {
  using Value = AccessLog;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

/// header:NAME, user, session, prefix or prefix:SIZE.
struct HashKeyFormat {
  using Value = HashKey;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

/// off, p95 or a duration.
struct HedgeAfterFormat {
  using Value = HedgeAfter;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

struct RetryConditionFormat {
  using Value = RetryCondition;
  static Facts Describe();
  static std::string Read(const Scalar& scalar, Value& value);
  static Spelling Spell(const Value& value);
};

template <class E>
struct EnumFormat {
  using Value = E;
  static Facts Describe() {
    Facts facts{.name = "one of"};
    for (const auto& row : EnumRows<E>::kRows) facts.words.push_back(row.name);
    return facts;
  }
  static std::string Read(const Scalar& scalar, Value& value) {
    for (const auto& row : EnumRows<E>::kRows) {
      if (row.name != scalar.text) continue;
      value = row.value;
      return {};
    }
    return OneOf(Describe().words);
  }
  static Spelling Spell(const Value& value) { return {std::string(Name(value))}; }
};

struct AutoWord {
  static constexpr std::string_view kWord = "auto";
};
struct OffWord {
  static constexpr std::string_view kWord = "off";
};

/// WordFormat without the bounds of rows.
template <class Format, class Word>
struct WordOrValue {
  using Value = std::optional<typename Format::Value>;
  static Facts Describe() {
    Facts facts = Format::Describe();
    facts.open = facts.open || facts.words.empty();
    facts.words.push_back(Word::kWord);
    return facts;
  }
  static std::string Read(const Scalar& scalar, Value& value) {
    if (scalar.text == Word::kWord) return {};
    typename Format::Value inner{};
    std::string problem = Format::Read(scalar, inner);
    if (!problem.empty())
      return problem.starts_with("must be ") ? problem + " or " + std::string(Word::kWord) : problem;
    value = inner;
    return {};
  }
  static Spelling Spell(const Value& value) {
    return value ? Format::Spell(*value) : Spelling{std::string(Word::kWord)};
  }
};

/// A word, held as nullopt, or what Format takes.
template <class Format, class Word>
struct WordFormat : WordOrValue<Format, Word> {};
template <class Format, class Word>
requires requires { Format::kBound; }
struct WordFormat<Format, Word> : WordOrValue<Format, Word> {
  using Value = typename WordOrValue<Format, Word>::Value;
  static constexpr const BoundSpelling& kBound = Format::kBound;
  static std::optional<std::int64_t> Measure(const Value& value) {
    return value ? std::optional(Format::Measure(*value)) : std::nullopt;
  }
};
template <class Format>
using AutoFormat = WordFormat<Format, AutoWord>;
template <class Format>
using OffFormat = WordFormat<Format, OffWord>;

/// The usual format of a type; a type without one is a section.
template <class T>
struct FormatOf {};
template <>
struct FormatOf<bool> {
  using type = FlagFormat;
};
template <>
struct FormatOf<std::uint32_t> {
  using type = CountFormat;
};
template <>
struct FormatOf<double> {
  using type = NumberFormat;
};
template <>
struct FormatOf<Duration> {
  using type = DurationFormat;
};
template <>
struct FormatOf<std::string> {
  using type = TextFormat;
};
template <>
struct FormatOf<Secret> {
  using type = SecretFormat;
};
template <>
struct FormatOf<SocketAddress> {
  using type = AddressFormat;
};
template <>
struct FormatOf<IpPrefix> {
  using type = PrefixFormat;
};
template <>
struct FormatOf<Url> {
  using type = UrlFormat;
};
template <>
struct FormatOf<Digest> {
  using type = DigestFormat;
};
template <>
struct FormatOf<AccessLog> {
  using type = AccessLogFormat;
};
template <>
struct FormatOf<HashKey> {
  using type = HashKeyFormat;
};
template <>
struct FormatOf<HedgeAfter> {
  using type = HedgeAfterFormat;
};
template <>
struct FormatOf<RetryCondition> {
  using type = RetryConditionFormat;
};
template <class E>
requires requires { EnumRows<E>::kRows; }
struct FormatOf<E> {
  using type = EnumFormat<E>;
};
template <class T>
struct FormatOf<std::optional<T>> {
  using type = AutoFormat<typename FormatOf<T>::type>;
};

}  // namespace penstock::config
