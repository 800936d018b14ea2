#include "config/formats.hpp"

#include <algorithm>
#include <cmath>

#include "config/redis_url.hpp"
#include "config/secret_source.hpp"
#include "config/text_rules.hpp"
#include "penstock/base/parse.hpp"

namespace penstock::config {
namespace {

using Json = Facts::Json;
using Style = Spelling::Style;

/// Sets `value` from a parser of base, or says what is wrong.
template <class T, class U>
std::string Take(const Parsed<T>& parsed, U& value) {
  if (!parsed.has_value()) return parsed.error().message;
  value = static_cast<U>(*parsed);
  return {};
}

constexpr const char* kNoQuotes = "must be written without quotes";

}  // namespace

std::string CheckBounds(std::optional<std::int64_t> measure, const Rules& rules, const BoundSpelling& spelling) {
  if (!measure || (*measure >= rules.min && *measure <= rules.max)) return {};
  if (rules.max == Rules::kNoMax) return "must be at least " + spelling.spell(rules.min) + spelling.unit;
  if (rules.min == Rules::kNoMin) return "must be at most " + spelling.spell(rules.max) + spelling.unit;
  return "must be between " + spelling.spell(rules.min) + " and " + spelling.spell(rules.max) + spelling.unit;
}

std::string OneOf(const std::vector<std::string_view>& words) {
  std::string message = "must be one of ";
  for (std::size_t i = 0; i < words.size(); ++i) message.append(i == 0 ? "" : ", ").append(words[i]);
  return message;
}

Facts FlagFormat::Describe() { return {.name = "true or false", .json = Json::kBoolean}; }
std::string FlagFormat::Read(const Scalar& scalar, Value& value) {
  if (scalar.text != "true" && scalar.text != "false") return "must be true or false";
  if (scalar.quoted) return kNoQuotes;
  value = scalar.text == "true";
  return {};
}
Spelling FlagFormat::Spell(const Value& value) { return {value ? "true" : "false", Style::kLiteral}; }

Facts CountFormat::Describe() { return {.name = "integer", .json = Json::kInteger}; }
std::string CountFormat::Read(const Scalar& scalar, Value& value) {
  std::string problem = Take(ParseInteger(scalar.text, UINT32_MAX), value);
  return problem.empty() && scalar.quoted ? kNoQuotes : problem;
}
Spelling CountFormat::Spell(const Value& value) { return {std::to_string(value), Style::kLiteral}; }
const BoundSpelling CountFormat::kBound = {[](std::int64_t bound) { return std::to_string(bound); }};

Facts NumberFormat::Describe() { return {.name = "number", .json = Json::kNumber}; }
std::string NumberFormat::Read(const Scalar& scalar, Value& value) {
  std::string problem = Take(ParseNumber(scalar.text), value);
  return problem.empty() && scalar.quoted ? kNoQuotes : problem;
}
Spelling NumberFormat::Spell(const Value& value) { return {PrintNumber(value), Style::kLiteral}; }
std::int64_t NumberFormat::Measure(const Value& value) {
  return static_cast<std::int64_t>(std::ceil(std::min(value, 1e15)));
}
const BoundSpelling NumberFormat::kBound = {[](std::int64_t bound) { return std::to_string(bound); }};

Facts DurationFormat::Describe() {
  return {.name = "duration", .pattern = "^(0|[1-9][0-9]*)(us|ms|s|m|h)$", .zero_without_unit = true};
}
std::string DurationFormat::Read(const Scalar& scalar, Value& value) { return Take(ParseDuration(scalar.text), value); }
Spelling DurationFormat::Spell(const Value& value) { return {PrintDuration(value)}; }
const BoundSpelling DurationFormat::kBound = {[](std::int64_t bound) { return PrintDuration(Duration(bound)); }};

Facts SizeFormat::Describe() {
  return {.name = "size", .pattern = "^(0|[1-9][0-9]*)(B|KiB|MiB|GiB)$", .zero_without_unit = true};
}
std::string SizeFormat::Read(const Scalar& scalar, Value& value) { return Take(ParseSize(scalar.text), value); }
Spelling SizeFormat::Spell(const Value& value) { return {PrintSize(value)}; }
const BoundSpelling SizeFormat::kBound = {
    [](std::int64_t bound) { return PrintSize(static_cast<std::uint64_t>(bound)); }};

Facts RateFormat::Describe() {
  return {.name = "rate", .pattern = "^(0|[1-9][0-9]*)(B|KiB|MiB|GiB)/s$", .zero_without_unit = true};
}
std::string RateFormat::Read(const Scalar& scalar, Value& value) { return Take(ParseRate(scalar.text), value); }
Spelling RateFormat::Spell(const Value& value) { return {PrintRate(value)}; }
const BoundSpelling RateFormat::kBound = {
    [](std::int64_t bound) { return PrintRate(static_cast<std::uint64_t>(bound)); }};

Facts TextFormat::Describe() { return {.name = "text"}; }
std::string TextFormat::Read(const Scalar& scalar, Value& value) {
  value = scalar.text;
  return {};
}
Spelling TextFormat::Spell(const Value& value) { return {value, Style::kString}; }
const BoundSpelling TextFormat::kBound = {[](std::int64_t bound) { return std::to_string(bound); }, " bytes"};

Facts HeaderNameFormat::Describe() { return {.name = "header name"}; }
std::string HeaderNameFormat::Read(const Scalar& scalar, Value& value) {
  value = scalar.text;
  std::transform(value.begin(), value.end(), value.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return {};
}

Facts SecretFormat::Describe() { return {.name = "secret", .confidential = true}; }
std::string SecretFormat::Read(const Scalar& scalar, const ReadContext& context, Value& value) {
  return ReadSecret(scalar.text, context, value);
}
Spelling SecretFormat::Spell(const Value& value) { return {value.empty() ? "" : "***", Style::kString}; }

Facts RedisUrlFormat::Describe() { return {.name = "Redis URL", .confidential = true}; }
std::string RedisUrlFormat::Read(const Scalar& scalar, const ReadContext& context, Value& value) {
  Secret url;
  if (std::string problem = ReadSecret(scalar.text, context, url); !problem.empty()) return problem;
  const Parsed<RedisUrlParts> parts = SplitRedisUrl(url.reveal());
  if (!parts.has_value()) return parts.error().message;
  value = std::move(url);
  return {};
}
Spelling RedisUrlFormat::Spell(const Value& value) { return {MaskRedisUrl(value.reveal()), Style::kString}; }

Facts AddressFormat::Describe() {
  return {.name = "address", .pattern = "^(unix:/.+|[0-9.]+:[0-9]+|\\[[0-9A-Fa-f:.]+\\]:[0-9]+)$"};
}
std::string AddressFormat::Read(const Scalar& scalar, Value& value) {
  return Take(SocketAddress::Parse(scalar.text), value);
}
Spelling AddressFormat::Spell(const Value& value) { return {value.ToString(), Style::kString}; }

Facts PrefixFormat::Describe() { return {.name = "IP address or prefix", .pattern = "^[0-9A-Fa-f:.]+(/[0-9]+)?$"}; }
std::string PrefixFormat::Read(const Scalar& scalar, Value& value) { return Take(IpPrefix::Parse(scalar.text), value); }
Spelling PrefixFormat::Spell(const Value& value) { return {value.ToString(), Style::kString}; }

Facts UrlFormat::Describe() {
  return {.name = "URL", .pattern = "^https?://[^/?#@]+(/[^?#]*)?$", .confidential = true};
}
std::string UrlFormat::Read(const Scalar& scalar, Value& value) {
  if (scalar.text.size() > 2048) return "must be at most 2048 bytes";
  return Take(Url::Parse(scalar.text), value);
}
Spelling UrlFormat::Spell(const Value& value) { return {value.ToString(), Style::kString}; }

// Who mistook it may have written the key itself.
Facts DigestFormat::Describe() {
  return {.name = "SHA-256 in hexadecimal", .pattern = "^[0-9A-Fa-f]{64}$", .confidential = true};
}
std::string DigestFormat::Read(const Scalar& scalar, Value& value) {
  const std::optional<Digest> digest = ParseDigest(scalar.text);
  if (!digest.has_value()) return "must be 64 hexadecimal digits, as `penstock key hash` prints them";
  value = *digest;
  return {};
}
Spelling DigestFormat::Spell(const Value& value) { return {HexString(value), Style::kString}; }

Facts AccessLogFormat::Describe() { return {.name = "stderr, off or a path", .pattern = "^(stderr|off|\\.{0,2}/.+)$"}; }
std::string AccessLogFormat::Read(const Scalar& scalar, Value& value) {
  const std::string_view text = scalar.text;
  if (text == "stderr" || text == "off") {
    value.kind = text == "off" ? AccessLog::Kind::kOff : AccessLog::Kind::kStderr;
    return {};
  }
  // A word that is not a path is more likely a mistyped `stderr` than a file of that name.
  if (!text.starts_with('/') && !text.starts_with("./") && !text.starts_with("../")) {
    return "must be stderr, off or a path that begins with / or ./";
  }
  if (text.size() > 4095) return "must be at most 4095 bytes";
  value = {AccessLog::Kind::kFile, std::string(text)};
  return {};
}
Spelling AccessLogFormat::Spell(const Value& value) {
  switch (value.kind) {
    case AccessLog::Kind::kStderr: return {"stderr"};
    case AccessLog::Kind::kOff: return {"off"};
    case AccessLog::Kind::kFile: break;
  }
  return {value.path, Style::kString};
}

namespace {

constexpr std::string_view kHeaderWord = "header:", kPrefixWord = "prefix";

struct HashKeyWord {
  std::string_view name;
  HashKey::Source source;
};
constexpr HashKeyWord kHashKeyWords[] = {{"", HashKey::Source::kNone},
                                         {"user", HashKey::Source::kUser},
                                         {"session", HashKey::Source::kSession},
                                         {kPrefixWord, HashKey::Source::kPrefix}};

std::string ReadPrefixSize(std::string_view text, std::uint64_t& size) {
  const Parsed<std::uint64_t> read = ParseSize(text);
  if (!read.has_value()) return std::string("has a size that ") + read.error().message;
  if (*read < HashKey::kPrefixMin || *read > HashKey::kPrefixMax) {
    return "has a size that must be between " + PrintSize(HashKey::kPrefixMin) + " and " +
           PrintSize(HashKey::kPrefixMax);
  }
  size = *read;
  return {};
}

}  // namespace

Facts HashKeyFormat::Describe() {
  return {.name = "header:NAME, user, session, prefix or prefix:SIZE",
          .pattern = "^(|user|session|prefix(:[1-9][0-9]*(B|KiB))?|header:[!#$%&'*+.^_`|~0-9A-Za-z-]+)$"};
}
std::string HashKeyFormat::Read(const Scalar& scalar, Value& value) {
  const std::string_view text = scalar.text;
  for (const HashKeyWord& word : kHashKeyWords) {
    if (word.name != text) continue;
    value.source = word.source;
    return {};
  }
  if (text.starts_with("prefix:")) {
    value.source = HashKey::Source::kPrefix;
    return ReadPrefixSize(text.substr(kPrefixWord.size() + 1), value.prefix);
  }
  const std::string_view name = text.substr(std::min(kHeaderWord.size(), text.size()));
  if (!text.starts_with(kHeaderWord) || name.size() > 256 || !IsToken(name))
    return "must be header:NAME, user, session, prefix or prefix:SIZE";
  value.source = HashKey::Source::kHeader;
  HeaderNameFormat::Read({name}, value.header);
  return {};
}
Spelling HashKeyFormat::Spell(const Value& value) {
  using Source = HashKey::Source;
  if (value.source == Source::kHeader) return {std::string(kHeaderWord) + value.header};
  if (value.source == Source::kPrefix && value.prefix != HashKey::kPrefixDefault)
    return {std::string(kPrefixWord) + ":" + PrintSize(value.prefix)};
  for (const HashKeyWord& word : kHashKeyWords) {
    if (word.source == value.source) return {std::string(word.name), word.name.empty() ? Style::kString : Style::kWord};
  }
  return {};
}

namespace {

constexpr std::string_view kP95Word = "p95";

}  // namespace

Facts HedgeAfterFormat::Describe() {
  Facts facts = DurationFormat::Describe();
  facts.words = {OffWord::kWord, kP95Word};
  facts.open = true;
  return facts;
}
std::string HedgeAfterFormat::Read(const Scalar& scalar, Value& value) {
  using Kind = HedgeAfter::Kind;
  value = {};
  if (scalar.text == OffWord::kWord) return {};
  if (scalar.text == kP95Word) {
    value.kind = Kind::kP95;
    return {};
  }
  const Parsed<Duration> time = ParseDuration(scalar.text);
  if (!time.has_value() || *time < HedgeAfter::kTimeMin || *time > HedgeAfter::kTimeMax)
    return "must be off, p95 or a duration of " + PrintDuration(HedgeAfter::kTimeMin) + " to " +
           PrintDuration(HedgeAfter::kTimeMax);
  value = {Kind::kTime, *time};
  return {};
}
Spelling HedgeAfterFormat::Spell(const Value& value) {
  switch (value.kind) {
    case HedgeAfter::Kind::kOff: break;
    case HedgeAfter::Kind::kP95: return {std::string(kP95Word)};
    case HedgeAfter::Kind::kTime: return {PrintDuration(value.time)};
  }
  return {std::string(OffWord::kWord)};
}

namespace {

constexpr EnumRow<RetryCondition> kRetryWords[] = {
    {"connect", RetryCondition::kConnect}, {"reset", RetryCondition::kReset}, {"timeout", RetryCondition::kTimeout}};

}  // namespace

Facts RetryConditionFormat::Describe() {
  Facts facts{.name = "a status of 400 to 599", .json = Json::kInteger, .open = true};
  for (const auto& row : kRetryWords) facts.words.push_back(row.name);
  return facts;
}
std::string RetryConditionFormat::Read(const Scalar& scalar, Value& value) {
  for (const auto& row : kRetryWords) {
    if (row.name != scalar.text) continue;
    value = row.value;
    return {};
  }
  const auto status = ParseInteger(scalar.text, 599);
  if (!status.has_value() || *status < 400 || scalar.quoted)
    return "must be connect, reset, timeout or a status of 400 to 599";
  value = RetryOnStatus(static_cast<int>(*status));
  return {};
}
Spelling RetryConditionFormat::Spell(const Value& value) {
  for (const auto& row : kRetryWords) {
    if (row.value == value) return {std::string(row.name)};
  }
  return {std::to_string(static_cast<int>(value)), Style::kLiteral};
}

bool Retry::Covers(RetryCondition condition) const noexcept {
  return std::find(on.begin(), on.end(), condition) != on.end();
}

}  // namespace penstock::config
