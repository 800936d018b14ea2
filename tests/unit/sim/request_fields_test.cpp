#include "sim/request_fields.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::sim {
namespace {

TEST(RequestFields, ReadsWhatAnAnswerDependsOn) {
  const RequestFields fields = ScanRequest(
      R"( {"messages" : [{"role":"user","content":"a \"model\":\"no\" } ] \\"}], "model":"sim:1:2:3","stream":true,)"
      R"("stream_options":{"x":1,"include_usage":true},"max_tokens":17,"n":2,"seed":99,"logprobs":true,"encoding_format":"base64"} )");
  EXPECT_TRUE(fields.whole);
  EXPECT_EQ(fields.model, "sim:1:2:3");
  EXPECT_TRUE(fields.stream);
  EXPECT_TRUE(fields.include_usage);
  EXPECT_TRUE(fields.logprobs);
  EXPECT_TRUE(fields.base64);
  EXPECT_EQ(fields.max_tokens, 17u);
  EXPECT_EQ(fields.n, 2u);
  EXPECT_EQ(fields.seed, 99u);
  EXPECT_EQ(fields.prompt, R"([{"role":"user","content":"a \"model\":\"no\" } ] \\"}])");
}

TEST(RequestFields, NestedKeysAreNotTheRequests) {
  const RequestFields fields = ScanRequest(R"({"metadata":{"model":"inner","stream":true},"model":"outer"})");
  EXPECT_TRUE(fields.whole);
  EXPECT_EQ(fields.model, "outer");
  EXPECT_FALSE(fields.stream);
}

TEST(RequestFields, EveryBeginningOfABodyIsSafeAndNotWhole) {
  const std::string body =
      R"({"model":"sim","messages":[{"role":"user","content":"x\"y\\"}],"stream":false,"n":1.5e3,"user":null})";
  for (std::size_t size = 0; size < body.size(); ++size) {
    // A copy of exactly that size, so that the sanitizer sees a step too far.
    const std::string prefix = body.substr(0, size);
    EXPECT_FALSE(ScanRequest(prefix).whole) << prefix;
  }
  EXPECT_TRUE(ScanRequest(body).whole);
  EXPECT_EQ(ScanRequest(body.substr(0, 15)).model, "sim");
}

TEST(RequestFields, WhatIsNoObjectIsNotWhole) {
  for (const char* body : {"", "[]", "null", "{", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":tru}",
                           "{\"a\":1}x", "{\"a\":[1}"}) {
    EXPECT_FALSE(ScanRequest(body).whole) << body;
  }
}

TEST(RequestFields, CountsInputs) {
  const std::pair<const char*, std::uint32_t> cases[] = {
      {R"("one")", 1}, {R"(["a","b","c"])", 3},  {"[1,2,3]", 1},        {"[[1,2],[3]]", 2},
      {"[]", 1},       {R"([{"text":"a"}])", 1}, {R"(["]","[,\""])", 2}};
  for (const auto& [value, count] : cases) EXPECT_EQ(CountInputs(value), count) << value;
}

TEST(RequestFields, FindsTheLastMessage) {
  const LastMessage last =
      FindLastMessage(R"([{"role":"user","content":"a"} , {"content":"so \"far","role":"assistant"}])");
  EXPECT_EQ(last.before, R"([{"role":"user","content":"a"})");
  EXPECT_TRUE(last.assistant);
  EXPECT_EQ(last.content, R"(so \"far)");
  EXPECT_EQ(FindLastMessage(R"([{"role":"user","content":"a"}])").before, "[");
  EXPECT_FALSE(FindLastMessage(R"([{"role":"user","content":"a"}])").assistant);
  for (const char* none : {"", "\"text\"", "[", "[]", "[{]", "[1]"})
    EXPECT_FALSE(FindLastMessage(none).assistant) << none;
}

TEST(RequestFields, InputsAreBounded) {
  std::string value = "[";
  for (int i = 0; i < 5000; ++i) value += i == 0 ? "\"x\"" : ",\"x\"";
  EXPECT_EQ(CountInputs(value + "]"), kInputsMax);
}

}  // namespace
}  // namespace penstock::sim
