#include "penstock/llm/splice.hpp"

#include <gtest/gtest.h>

#include <string>

#include "penstock/base/prng.hpp"
#include "random_json.hpp"
#include "reference_json.hpp"

namespace penstock::llm {
namespace {

using test::ReferenceParser;
using test::Value;

std::string Spliced(std::string_view body, const SpliceRules& rules, Family family = Family::kChat) {
  JsonParser parser(3);
  const auto view = ParseRequest(family, body, parser);
  EXPECT_TRUE(view.has_value()) << body;
  if (!view) return {};
  const SplicedBody spliced(*view, rules);
  std::string all;
  for (const std::string_view segment : spliced.segments()) all += segment;
  EXPECT_EQ(all.size(), spliced.size());
  return all;
}

TEST(Splice, ChangesNothingWithoutARule) {
  const std::string body = R"( {"model":"m" , "messages":[{}],"stream":false } )";
  EXPECT_EQ(Spliced(body, {}), body);
  JsonParser parser(3);
  const auto view = ParseRequest(Family::kChat, body, parser);
  EXPECT_EQ(SplicedBody(*view, {}).segments().size(), 1u);
  EXPECT_EQ(SplicedBody(*view, {}).segments()[0].data(), view->body.data()) << "borrowed, not copied";
}

TEST(Splice, EachChangeByteForByte) {
  const SpliceRules model{.model_json = R"("up\"stream")"};
  const SpliceRules usage{.include_usage = true};
  const SpliceRules stream{.force_stream = true};
  const SpliceRules all{.model_json = R"("M")", .include_usage = true, .force_stream = true};
  const struct {
    SpliceRules rules;
    const char* from;
    const char* to;
  } rows[] = {
      {model, R"({"model" : "m", "messages":[{}]})", R"({"model" : "up\"stream", "messages":[{}]})"},
      {usage, R"({"model":"m","messages":[{}]})",
       R"({"model":"m","messages":[{}],"stream_options":{"include_usage":true}})"},
      {usage, R"({"model":"m","messages":[{}] } )",
       R"({"model":"m","messages":[{}] ,"stream_options":{"include_usage":true}} )"},
      {usage, R"({"stream_options":{},"model":"m","messages":[{}]})",
       R"({"stream_options":{"include_usage":true},"model":"m","messages":[{}]})"},
      {usage, R"({"stream_options":{ },"model":"m","messages":[{}]})",
       R"({"stream_options":{"include_usage":true },"model":"m","messages":[{}]})"},
      {usage, R"({"stream_options":{"a":1},"model":"m","messages":[{}]})",
       R"({"stream_options":{"include_usage":true,"a":1},"model":"m","messages":[{}]})"},
      {usage, R"({"stream_options":{"a":1,"include_usage":false},"model":"m","messages":[{}]})",
       R"({"stream_options":{"a":1,"include_usage":true},"model":"m","messages":[{}]})"},
      {usage, R"({"stream_options":{"includ\u0065_usage":null},"model":"m","messages":[{}]})",
       R"({"stream_options":{"includ\u0065_usage":true},"model":"m","messages":[{}]})"},
      {usage, R"({"stream_options":null,"model":"m","messages":[{}]})",
       R"({"stream_options":{"include_usage":true},"model":"m","messages":[{}]})"},
      {usage, R"({"stream_options":{"include_usage":true},"model":"m","messages":[{}]})",
       R"({"stream_options":{"include_usage":true},"model":"m","messages":[{}]})"},
      {stream, R"({"model":"m","messages":[{}]})", R"({"model":"m","messages":[{}],"stream":true})"},
      {stream, R"({"model":"m","stream":false,"messages":[{}]})", R"({"model":"m","stream":true,"messages":[{}]})"},
      {stream, R"({"model":"m","stream":null,"messages":[{}]})", R"({"model":"m","stream":true,"messages":[{}]})"},
      {stream, R"({"model":"m","stream":true,"messages":[{}]})", R"({"model":"m","stream":true,"messages":[{}]})"},
      {all, R"({"model":"m","messages":[{}]})",
       R"({"model":"M","messages":[{}],"stream":true,"stream_options":{"include_usage":true}})"},
      {all, R"({"stream_options":null,"stream":false,"messages":[{}],"model":"m"})",
       R"({"stream_options":{"include_usage":true},"stream":true,"messages":[{}],"model":"M"})"},
  };
  for (const auto& row : rows) EXPECT_EQ(Spliced(row.from, row.rules), row.to);
  EXPECT_EQ(Spliced("{ }", stream, Family::kTokenize), R"({ "stream":true})") << "no comma in an empty object";
}

TEST(Splice, UsageIsAskedForOnlyWhereItCanBe) {
  const std::string body = R"({"model":"m","messages":[{}],"stream_options":null})";
  EXPECT_EQ(Spliced(body, {.include_usage = true}, Family::kMessages), body);
  EXPECT_EQ(Spliced(body, {.include_usage = true}, Family::kResponses), body);
}

/// Sets a member, at its place or at the end.
void Set(Value& object, const std::string& key, Value value) {
  for (auto& [name, old] : object.members) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  object.members.emplace_back(key, std::move(value));
}

bool SameMembers(const Value& a, const Value& b) {
  if (a.kind != b.kind || a.members.size() != b.members.size()) return false;
  for (const auto& [key, value] : a.members) {
    const Value* other = b.Find(key);
    if (other == nullptr) return false;
    if (key == "stream_options" ? !SameMembers(value, *other) : value != *other) return false;
  }
  return true;
}

TEST(Splice, TheResultEqualsTheOriginalButForTheNamedChange) {
  Prng prng(4711);
  JsonParser parser(1);
  static constexpr const char* kStream[] = {"true", "false", "null"};
  static constexpr const char* kOptions[] = {"null",
                                             "{}",
                                             R"({"include_usage":true})",
                                             R"({"include_usage":false,"x":[1]})",
                                             R"({"x":{}, "include_usage" : null })",
                                             R"({ "y":"z" })"};
  int spliced_bodies = 0;
  for (int round = 0; round < 5000; ++round) {
    // Members in random order, with random neighbours and random white space.
    std::vector<std::string> members = {R"("messages":[{"role":"user"}])", "\"model\"" + test::RandomSpace(prng) + ":" +
                                                                               test::RandomSpace(prng) + "\"m\\n\""};
    if (prng.Below(2) == 0) members.push_back(std::string("\"stream\":") + kStream[prng.Below(3)]);
    if (prng.Below(2) == 0) members.push_back(std::string("\"stream_options\":") + kOptions[prng.Below(6)]);
    for (std::uint64_t n = prng.Below(3); n != 0; --n) {
      members.push_back("\"x" + std::to_string(n) + "\":" + test::RandomValue(prng, 2));
    }
    std::string body = test::RandomSpace(prng) + "{" + test::RandomSpace(prng);
    for (std::size_t i = members.size(); i != 0; --i) {
      std::swap(members[i - 1], members[prng.Below(i)]);
      body += members[i - 1] + test::RandomSpace(prng) + (i == 1 ? "}" : ",") + test::RandomSpace(prng);
    }
    const std::string name = QuoteJson("name \"" + std::to_string(round) + "\"\n");
    const SpliceRules rules{prng.Below(2) == 0 ? std::string_view(name) : std::string_view(), prng.Below(2) == 0,
                            prng.Below(2) == 0};
    auto expected = ReferenceParser::Parse(body);
    ASSERT_TRUE(expected.json) << body;
    if (expected.duplicate_key) continue;
    ++spliced_bodies;
    const auto got = ReferenceParser::Parse(Spliced(body, rules));
    ASSERT_TRUE(got.json && !got.duplicate_key) << body;
    const Value yes{.kind = 't'};
    if (!rules.model_json.empty()) Set(expected.value, "model", ReferenceParser::Parse(name).value);
    if (rules.force_stream) Set(expected.value, "stream", yes);
    if (rules.include_usage) {
      const Value* old = expected.value.Find("stream_options");
      Value options = old != nullptr && old->kind == '{' ? *old : Value{.kind = '{'};
      Set(options, "include_usage", yes);
      Set(expected.value, "stream_options", options);
    }
    ASSERT_TRUE(SameMembers(got.value, expected.value)) << body;
  }
  EXPECT_GT(spliced_bodies, 4000);
}

TEST(Splice, QuotedNamesAreJson) {
  const std::string names[] = {"llama", "a\"b\\c/", std::string("nul\0 \x01\x1f\x7f", 8), "\xC3\xA9\xF0\x9F\x98\x80"};
  for (const std::string& name : names) {
    const auto parsed = ReferenceParser::Parse(QuoteJson(name));
    ASSERT_TRUE(parsed.json) << QuoteJson(name);
    EXPECT_EQ(parsed.value.text, name);
  }
  EXPECT_EQ(ReferenceParser::Parse(QuoteJson("bad \xFF\xC3 end")).value.text, "bad \xEF\xBF\xBD\xEF\xBF\xBD end");
}

}  // namespace
}  // namespace penstock::llm
