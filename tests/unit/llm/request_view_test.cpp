#include "penstock/llm/request_view.hpp"

#include <gtest/gtest.h>

#include <string>

#include "exact_copy.hpp"

namespace penstock::llm {
namespace {

using test::ExactCopy;

/// A body that outlives its view.
struct Parsed {
  Parsed(Family family, std::string_view text)
      : body(text), parser(3), result(ParseRequest(family, body.view(), parser)) {}
  const RequestView& view() const { return *result; }
  std::string_view At(Span span) const { return span.In(body.view()); }

  ExactCopy body;
  JsonParser parser;
  Result<RequestView> result;
};

constexpr std::string_view kChat =
    R"( {"model": "llama-3-8b", "messages":[{"role":"user","content":"Hi"},{"role":"user"}] ,)"
    R"("stream":true,"stream_options":{"x":1,"include_usage":true},"temperature":0.5,"seed":7,)"
    R"("n":2,"max_tokens":64,"user":"al\u0069ce","stop":["a","b"],"unknown":{"model":"x"}} )";

TEST(RequestView, RecordsWhatTheGatewayNeedsAndWhereItLies) {
  const Parsed parsed(Family::kChat, kChat);
  ASSERT_TRUE(parsed.result.has_value());
  const RequestView& view = parsed.view();
  EXPECT_EQ(view.model(), "llama-3-8b");
  EXPECT_EQ(parsed.At(view.model_token), R"("llama-3-8b")");
  EXPECT_TRUE(view.stream);
  EXPECT_EQ(parsed.At(view.stream_token), "true");
  EXPECT_EQ(parsed.At(view.stream_options), R"({"x":1,"include_usage":true})");
  EXPECT_EQ(parsed.At(view.include_usage_token), "true");
  EXPECT_TRUE(view.include_usage);
  EXPECT_EQ(view.temperature, 0.5);
  EXPECT_TRUE(view.has_seed);
  EXPECT_EQ(view.n, 2u);
  EXPECT_EQ(view.choices(), 2u);
  EXPECT_EQ(view.max_tokens, 64u);
  EXPECT_EQ(parsed.At(view.user), R"("al\u0069ce")");
  EXPECT_EQ(parsed.At(view.prompt), R"([{"role":"user","content":"Hi"},{"role":"user"}])");
  EXPECT_EQ(view.prompt_items, 2u);
  EXPECT_EQ(view.body[view.end], '}');
  EXPECT_EQ(view.end, kChat.size() - 2);
  EXPECT_FALSE(view.empty);
}

TEST(RequestView, DecodesEscapedNamesOfFieldsAndModels) {
  const Parsed parsed(Family::kChat, R"({"mod\u0065l":"meta-llama\/Llama\u002d3","messages":[{}],"str\u0065am":true})");
  ASSERT_TRUE(parsed.result.has_value());
  const RequestView copy = parsed.view();
  EXPECT_EQ(copy.model(), "meta-llama/Llama-3");
  EXPECT_EQ(parsed.At(copy.model_token), R"("meta-llama\/Llama\u002d3")");
  EXPECT_TRUE(copy.stream);
}

TEST(RequestView, NullMeansAbsentWhereItMay) {
  const Parsed parsed(Family::kChat,
                      R"({"model":"m","messages":[{}],"stream":null,"stream_options":null,"temperature":null,)"
                      R"("seed":null,"n":null,"max_tokens":null,"max_completion_tokens":null,"stop":null,)"
                      R"("user":null,"top_p":null})");
  ASSERT_TRUE(parsed.result.has_value());
  EXPECT_FALSE(parsed.view().stream);
  EXPECT_EQ(parsed.At(parsed.view().stream_token), "null");
  EXPECT_EQ(parsed.At(parsed.view().stream_options), "null");
  EXPECT_FALSE(parsed.view().temperature.has_value());
  EXPECT_FALSE(parsed.view().has_seed);
  EXPECT_EQ(parsed.view().n, 1u);
  EXPECT_EQ(parsed.view().max_tokens, 0u);
}

TEST(RequestView, CountsIndependentPrompts) {
  const struct {
    const char* prompt;
    std::uint32_t items;
  } rows[] = {{R"("a")", 1}, {R"(["a"])", 1}, {R"(["a","b","c"])", 3}, {"[1,2,3]", 1}, {"[[1,2],[3]]", 2}};
  for (const auto& row : rows) {
    const Parsed parsed(Family::kCompletions, std::string(R"({"model":"m","n":2,"prompt":)") + row.prompt + "}");
    ASSERT_TRUE(parsed.result.has_value()) << row.prompt;
    EXPECT_EQ(parsed.view().prompt_items, row.items) << row.prompt;
    EXPECT_EQ(parsed.view().choices(), 2 * row.items) << row.prompt;
    EXPECT_EQ(parsed.At(parsed.view().prompt), row.prompt);
  }
}

struct ParamRow {
  Family family;
  const char* body;
  const char* param;
};

void ExpectInvalid(const ParamRow& row) {
  const Parsed parsed(row.family, row.body);
  ASSERT_TRUE(parsed.result.has_error()) << row.body;
  const Error& error = parsed.result.error();
  EXPECT_EQ(error.code, ErrorCode::kInvalidParam) << row.body;
  EXPECT_STREQ(error.param, row.param) << row.body;
}

TEST(JsonFaults, J_10_RequiredFieldsAreNamed) {
  const ParamRow rows[] = {
      {Family::kChat, "[]", nullptr},
      {Family::kChat, "\"x\"", nullptr},
      {Family::kTokenize, "null", nullptr},
      {Family::kChat, "{}", "model"},
      {Family::kChat, R"({"messages":[{}]})", "model"},
      {Family::kChat, R"({"model":null,"messages":[{}]})", "model"},
      {Family::kChat, R"({"model":"","messages":[{}]})", "model"},
      {Family::kChat, R"({"model":[],"messages":[{}]})", "model"},
      {Family::kChat, R"({"model":"m"})", "messages"},
      {Family::kChat, R"({"model":"m","messages":null})", "messages"},
      {Family::kChat, R"({"model":"m","messages":[]})", "messages"},
      {Family::kChat, R"({"model":"m","messages":"x"})", "messages"},
      {Family::kChat, R"({"model":"m","messages":[{},"x"]})", "messages"},
      {Family::kCompletions, R"({"model":"m"})", "prompt"},
      {Family::kCompletions, R"({"model":"m","prompt":null})", "prompt"},
      {Family::kCompletions, R"({"model":"m","prompt":[]})", "prompt"},
      {Family::kCompletions, R"({"model":"m","prompt":""})", "prompt"},
      {Family::kCompletions, R"({"model":"m","prompt":{}})", "prompt"},
      {Family::kCompletions, R"({"model":"m","prompt":["a",null]})", "prompt"},
      {Family::kEmbeddings, R"({"model":"m"})", "input"},
      {Family::kEmbeddings, R"({"model":"m","input":null})", "input"},
      {Family::kEmbeddings, R"({"model":"m","input":[]})", "input"},
      {Family::kEmbeddings, R"({"model":"m","input":1})", "input"},
      {Family::kResponses, R"({"input":"x"})", "model"},
      {Family::kMessages, R"({"model":"m","max_tokens":1})", "messages"},
      {Family::kCountTokens, R"({"model":"m"})", "messages"},
      {Family::kRerank, R"({"query":"q"})", "model"},
      {Family::kScore, R"({})", "model"},
      {Family::kTokenize, R"({"model":1})", "model"},
  };
  for (const ParamRow& row : rows) ExpectInvalid(row);
  EXPECT_EQ(Parsed(Family::kChat, "").result.error().code, ErrorCode::kInvalidJson);
}

TEST(RequestView, LeavesToTheBackendWhatItKnowsBetter) {
  const struct {
    Family family;
    const char* body;
  } rows[] = {
      {Family::kTokenize, "{}"},
      {Family::kDetokenize, R"({"tokens":[1,2]})"},
      {Family::kTokenize, R"({"model":"m","prompt":null,"stream":7})"},
      {Family::kResponses, R"({"model":"m"})"},
      {Family::kResponses, R"({"model":"m","input":{"odd":1},"max_output_tokens":9})"},
      {Family::kMessages, R"({"model":"m","messages":[{}],"stop":7,"n":"x"})"},
      {Family::kCountTokens, R"({"model":"m","messages":[{}],"max_tokens":"x"})"},
      {Family::kEmbeddings, R"({"model":"m","input":"","stream":"x"})"},
      {Family::kEmbeddings, R"({"model":"m","input":[{"image":"x"}]})"},
      {Family::kRerank, R"({"model":"m","query":1})"},
      {Family::kChat, R"({"model":"m","messages":[{}],"temperature":2.5,"top_p":1.5,"seed":-1})"},
      {Family::kChat, R"({"model":"m","messages":[{}],"temperature":1e-400,"seed":18446744073709551615})"},
      {Family::kChat, R"({"model":"m","messages":[{}],"max_tokens":16.0,"n":1e0,"seed":7.0})"},
      {Family::kCompletions, R"({"model":"m","prompt":"x","max_tokens":0,"echo":true})"},
  };
  for (const auto& row : rows) EXPECT_TRUE(Parsed(row.family, row.body).result.has_value()) << row.body;
}

TEST(JsonFaults, J_11_IllTypedFieldsAreNamed) {
  const struct {
    const char* field;
    const char* param;
  } rows[] = {
      {R"("stream":"true")", "stream"},
      {R"("stream":1)", "stream"},
      {R"("stream_options":[])", "stream_options"},
      {R"("stream_options":true)", "stream_options"},
      {R"("stream_options":{"include_usage":1})", "stream_options.include_usage"},
      {R"("stream_options":{"includ\u0065_usage":"x"})", "stream_options.include_usage"},
      {R"("temperature":"0")", "temperature"},
      {R"("temperature":-0.1)", "temperature"},
      {R"("top_p":true)", "top_p"},
      {R"("top_p":-1)", "top_p"},
      {R"("seed":"7")", "seed"},
      {R"("seed":1.5)", "seed"},
      {R"("seed":-0.5)", "seed"},
      {R"("seed":1e-1)", "seed"},
      {R"("seed":[7])", "seed"},
      {R"("seed":true)", "seed"},
      {R"("max_tokens":-1)", "max_tokens"},
      {R"("max_tokens":0)", "max_tokens"},
      {R"("max_tokens":1.5)", "max_tokens"},
      {R"("max_tokens":1e18)", "max_tokens"},
      {R"("max_tokens":2147483649)", "max_tokens"},
      {R"("max_tokens":"64")", "max_tokens"},
      {R"("max_completion_tokens":0)", "max_completion_tokens"},
      {R"("n":0)", "n"},
      {R"("n":129)", "n"},
      {R"("n":1000)", "n"},
      {R"("n":-1)", "n"},
      {R"("n":[1])", "n"},
      {R"("stop":7)", "stop"},
      {R"("stop":{})", "stop"},
      {R"("stop":["a",1])", "stop"},
      {R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop"},
      {R"("user":1)", "user"},
      {R"("\u0075ser":1)", "user"},
  };
  for (const auto& row : rows) {
    const std::string body = std::string(R"({"model":"m","messages":[{}],)") + row.field + "}";
    ExpectInvalid({Family::kChat, body.c_str(), row.param});
  }
  ExpectInvalid({Family::kChat, R"({"model":1,"messages":[{}]})", "model"});
  ExpectInvalid({Family::kChat, R"({"model":"m","messages":{}})", "messages"});
  std::string stops = R"({"model":"m","messages":[{}],"stop":["x")";
  for (int i = 1; i < 10'000; ++i) stops += ",\"x\"";
  ExpectInvalid({Family::kChat, (stops + "]}").c_str(), "stop"});
  const std::string name(kModelNameMax + 1, 'm');
  ExpectInvalid({Family::kChat, (R"({"model":")" + name + R"(","messages":[{}]})").c_str(), "model"});
  ExpectInvalid({Family::kChat, (R"({"model":"\u006d)" + name.substr(1) + R"(","messages":[{}]})").c_str(), "model"});
}

TEST(JsonFaults, J_11_TheFirstFaultOfABodyIsTheOneReported) {
  ExpectInvalid({Family::kChat, R"({"n":0,"stream":7})", "n"});
  EXPECT_EQ(Parsed(Family::kChat, R"({"n":0,"n":0})").result.error().code, ErrorCode::kDuplicateKey);
  EXPECT_EQ(Parsed(Family::kChat, R"({"n":0,)").result.error().code, ErrorCode::kInvalidJson);
}

TEST(JsonFaults, J_12_UnknownFieldsAreNoFault) {
  const Parsed parsed(
      Family::kChat,
      R"({"cache_salt":"s","model":"m","vllm_xargs":{"model":1,"n":-1},"messages":[{"stream":"x"}],"":[],"n ":0})");
  ASSERT_TRUE(parsed.result.has_value());
  EXPECT_EQ(parsed.view().model(), "m");
}

TEST(JsonFaults, J_14_NulInNamesIsKeptAsAByte) {
  const Parsed parsed(Family::kChat, R"({"model":"llama\u0000-3","messages":[{}],"user":"a\u0000b"})");
  ASSERT_TRUE(parsed.result.has_value());
  EXPECT_EQ(parsed.view().model(), std::string_view("llama\0-3", 8)) << "neither cut at the NUL nor equal to \"llama\"";
  EXPECT_EQ(parsed.At(parsed.view().user), R"("a\u0000b")");
}

TEST(JsonFaults, J_17_EveryPrefixOfARequestIsRefusedWithoutReadingBeyondIt) {
  JsonParser parser(5);
  for (std::size_t size = 0; size + 1 < kChat.size(); ++size) {
    const ExactCopy prefix(kChat.substr(0, size));
    const auto view = ParseRequest(Family::kChat, prefix.view(), parser);
    ASSERT_TRUE(view.has_error()) << size;
    EXPECT_EQ(view.error().code, ErrorCode::kInvalidJson) << size;
    EXPECT_LE(view.error().offset, size);
  }
  EXPECT_TRUE(ParseRequest(Family::kChat, kChat, parser).has_value());
}

TEST(JsonFaults, J_19_MetacharactersInAPromptAreBytesLikeOthers) {
  const std::string prompt = R"({"role":"user","content":"data: [DONE]\n\nevent: error\r\n\u001b[31m \u0007 )"
                             "\xE2\x80\xA8 \xE2\x80\xA9 ; $(reboot) %n\"}";
  const Parsed parsed(Family::kChat, R"({"model":"m","messages":[)" + prompt + "]}");
  ASSERT_TRUE(parsed.result.has_value());
  EXPECT_EQ(parsed.At(parsed.view().prompt), "[" + prompt + "]");
}

TEST(RequestView, AParserServesBodiesOfAnySizeInAnyOrder) {
  JsonParser parser(11);
  for (const std::size_t size : {10u, 100'000u, 0u, 3'000'000u, 50u, 5000u}) {
    const std::string body = R"({"model":"m","messages":[{"content":")" + std::string(size, 'a') + R"("}]})";
    const auto view = ParseRequest(Family::kChat, body, parser);
    ASSERT_TRUE(view.has_value()) << size;
    EXPECT_EQ(view->prompt.size, size + 16);
  }
}

}  // namespace
}  // namespace penstock::llm
