#include "penstock/llm/canonical_json.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"
#include "random_json.hpp"
#include "reference_json.hpp"

namespace penstock::llm {
namespace {

using test::ExactCopy;
using test::ReferenceParser;

constexpr Family kAnyBody = Family::kTokenize;  // needs no field at all

std::string Canonical(const RequestView& view, JsonParser& parser) {
  std::string text;
  EXPECT_TRUE(WriteCanonicalBody(view, parser, [&](std::string_view piece) { text += piece; }));
  return text;
}

std::string Canonical(std::string_view body) {
  const ExactCopy copy(body);
  JsonParser parser(1);
  const auto view = ParseRequest(kAnyBody, copy.view(), parser);
  return view.has_value() ? Canonical(*view, parser) : "refused";
}

TEST(CanonicalJson, Table) {
  const struct {
    const char* name;
    std::string body;
    std::string form;
  } rows[] = {
      {"empty", "{}", "{}"},
      {"empty with blanks", " \r\n{\t} ", "{}"},
      {"sorted already", R"({"a":1,"b":[1,{"c":2,"d":3}]})", R"({"a":1,"b":[1,{"c":2,"d":3}]})"},
      {"order", R"({"b":1,"a":2})", R"({"a":2,"b":1})"},
      {"order at depth", R"({"b":{"d":{"z":1,"y":2},"c":[{"x":1,"w":[{"q":1,"p":2}]}]},"a":0})",
       R"({"a":0,"b":{"c":[{"w":[{"p":2,"q":1}],"x":1}],"d":{"y":2,"z":1}}})"},
      {"order of an array stays", R"({"a":[3,1,2,"b","a"]})", R"({"a":[3,1,2,"b","a"]})"},
      {"blanks between tokens", " { \"b\" : [ 1 , 2 ,\n{ } , [ ] ] ,\t\"a\"\r:\n\"x\" } ",
       R"({"a":"x","b":[1,2,{},[]]})"},
      {"blanks in an unsorted object", "{ \"b\" : 1 , \"a\" : 2 , \"c\" : 3 }", R"({"a":2,"b":1,"c":3})"},
      {"blanks in strings stay", R"({"b":" x , y ","a k":" "})", R"({"a k":" ","b":" x , y "})"},
      {"brackets in strings", R"({"b":"}{][,:","a":"{"})", R"({"a":"{","b":"}{][,:"})"},
      {"numbers as sent", R"({"d":1.0,"c":1,"b":1e0,"a":-0})", R"({"a":-0,"b":1e0,"c":1,"d":1.0})"},
      {"escapes as sent", R"({"b":"\u0041","a":"A\n\/"})", R"({"a":"A\n\/","b":"\u0041"})"},
      {"escaped keys sort decoded, stay as sent", R"({"c":1,"\u0062":2,"a":3})", R"({"a":3,"\u0062":2,"c":1})"},
      {"bytes, not UTF-16 units", "{\"\\ud83d\\ude00\":1,\"\xEF\xBF\xBF\":2}",
       "{\"\xEF\xBF\xBF\":2,\"\\ud83d\\ude00\":1}"},
      {"a prefix comes first", R"({"abcdefghi":1,"abcdefgh":2,"abcdefg":3,"":4})",
       R"({"":4,"abcdefg":3,"abcdefgh":2,"abcdefghi":1})"},
      {"U+0000 is longer than nothing", R"({"a\u0000":1,"a":2})", R"({"a":2,"a\u0000":1})"},
      {"equal first eight bytes", R"({"temperature_b":1,"temperature_a":2,"temperat":3})",
       R"({"temperat":3,"temperature_a":2,"temperature_b":1})"},
      {"high bytes are unsigned", "{\"\xC3\xA9\":1,\"z\":2}", "{\"z\":2,\"\xC3\xA9\":1}"},
      {"four members aside", R"({"user":"u","stream":true,"model":"m","stream_options":{"include_usage":true},"n":1})",
       R"({"n":1})"},
      {"only those", R"({"stream":false,"model":"m"})", "{}"},
      {"aside though escaped", R"({"us\u0065r":"u","n":1})", R"({"n":1})"},
      {"first and last aside", R"({"model":"m","b":1,"user":{"x":[{}]},"a":[{"c":1,"b":{}}],"stream":true})",
       R"({"a":[{"b":{},"c":1}],"b":1})"},
      {"not aside below", R"({"a":{"user":1,"stream":2,"model":3,"stream_options":4}})",
       R"({"a":{"model":3,"stream":2,"stream_options":4,"user":1}})"},
      {"nearly aside", R"({"users":1,"Model":2,"streams":3,"":4})", R"({"":4,"Model":2,"streams":3,"users":1})"},
      {"containers behind containers", R"({"c":[[],[[]],{}],"b":{"y":[{}],"x":{}},"a":[{"b":1,"a":2},{"d":1,"c":2}]})",
       R"({"a":[{"a":2,"b":1},{"c":2,"d":1}],"b":{"x":{},"y":[{}]},"c":[[],[[]],{}]})"},
  };
  for (const auto& row : rows) EXPECT_EQ(Canonical(row.body), row.form) << row.name;
}

TEST(CanonicalJson, ManyMembersAndGreatDepth) {
  std::string body, form;
  for (int i = 9999; i >= 1000; --i)
    body += (body.empty() ? "{\"k" : ",\"k") + std::to_string(i) + "\":" + std::to_string(i);
  for (int i = 1000; i <= 9999; ++i)
    form += (form.empty() ? "{\"k" : ",\"k") + std::to_string(i) + "\":" + std::to_string(i);
  EXPECT_EQ(Canonical(body + "}"), form + "}");
  body = form = "{}";
  for (int i = 0; i < 127; ++i) {
    body = "{\"b\":1 ,\"a\": " + body + "}";
    form = "{\"a\":" + form + ",\"b\":1}";
  }
  EXPECT_EQ(Canonical(body), form);
}

/// Every random text that is accepted: sorted, no blank, and otherwise what the plainest parser reads.
void Sort(test::Value& value, bool top) {
  if (top) {
    std::erase_if(value.members, [](const auto& member) {
      return member.first == "model" || member.first == "stream" || member.first == "stream_options" ||
             member.first == "user";
    });
  }
  std::sort(value.members.begin(), value.members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& member : value.members) Sort(member.second, false);
  for (test::Value& item : value.items) Sort(item, false);
}

TEST(CanonicalJson, AgreesWithThePlainestParserOnRandomTexts) {
  Prng prng(20261203);
  JsonParser parser(prng.Next()), other(prng.Next());
  int written = 0, reordered = 0;
  for (int round = 0; round < 40'000; ++round) {
    const ExactCopy body(test::RandomJson(prng));
    const auto view = ParseRequest(kAnyBody, body.view(), parser);
    if (view.has_error()) continue;
    const std::string form = Canonical(*view, parser);
    ASSERT_EQ(form, Canonical(*view, other)) << body.view();
    auto expected = ReferenceParser::Parse(body.view());
    const test::Value as_sent = expected.value;
    Sort(expected.value, true);
    const auto actual = ReferenceParser::Parse(form);
    ASSERT_TRUE(actual.json) << form;
    ASSERT_EQ(actual.value, expected.value) << body.view() << '\n' << form;
    ASSERT_EQ(Canonical(form), form);
    ++written;
    reordered += as_sent == expected.value ? 0 : 1;
  }
  EXPECT_GT(written, 3000);
  EXPECT_GT(reordered, 500);
}

/// The index of another text must never be used, though the bytes lie at the same place and have the same size.
TEST(CanonicalJson, AStaleIndexIsNotUsed) {
  std::string bytes = R"({"b":[1,2],"a":3})";
  JsonParser parser(1), other(1);
  const auto first = ParseRequest(kAnyBody, bytes, parser);
  ASSERT_TRUE(first);
  bytes = R"({"d":"1,2","c":3})";
  const auto second = ParseRequest(kAnyBody, bytes, other);
  ASSERT_TRUE(second);
  EXPECT_EQ(Canonical(*second, parser), R"({"c":3,"d":"1,2"})");

  const std::string another = R"({"z":1,"y":2})";
  const auto third = ParseRequest(kAnyBody, another, other);
  ASSERT_TRUE(third);
  EXPECT_EQ(Canonical(*second, other), R"({"c":3,"d":"1,2"})");
  EXPECT_EQ(Canonical(*third, other), R"({"y":2,"z":1})");
}

/// Beyond 1 MiB the index was given back when ParseRequest returned.
TEST(CanonicalJson, ALargeBodyIsIndexedAgain) {
  const std::string text(1536 * 1024, 'x');
  const std::string body = R"({"b": ")" + text + R"(", "a": 1})";
  JsonParser parser(1);
  const auto view = ParseRequest(kAnyBody, body, parser);
  ASSERT_TRUE(view);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Canonical(*view, parser), R"({"a":1,"b":")" + text + R"("})");
}

}  // namespace
}  // namespace penstock::llm
