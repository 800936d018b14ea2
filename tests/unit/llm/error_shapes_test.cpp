#include "penstock/llm/error_shapes.hpp"

#include <gtest/gtest.h>

#include <string>

#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_tap.hpp"
#include "reference_json.hpp"

namespace penstock::llm {
namespace {

using test::ReferenceParser;

constexpr ErrorText kError{"it \"broke\"\n", "upstream_error", "stream_interrupted", "", "req-1"};

TEST(ErrorShapes, OurOwnErrorsInBothShapes) {
  std::string openai;
  WriteError(openai, Family::kChat, {"bad n", "invalid_request_error", "invalid_param", "n", "req-1"});
  EXPECT_EQ(openai,
            R"({"error":{"message":"bad n","type":"invalid_request_error","param":"n","code":"invalid_param"}})");
  openai.clear();
  WriteError(openai, Family::kRerank, kError);
  EXPECT_EQ(
      openai,
      R"({"error":{"message":"it \"broke\"\n","type":"upstream_error","param":null,"code":"stream_interrupted"}})");
  for (const Family family : {Family::kMessages, Family::kCountTokens}) {
    std::string anthropic;
    WriteError(anthropic, family, kError);
    EXPECT_EQ(anthropic,
              R"({"type":"error","error":{"type":"upstream_error","message":"it \"broke\"\n"},"request_id":"req-1"})");
  }
  std::string hostile;
  WriteError(hostile, Family::kMessages, {"m", "t", "c", "", "a\"},\"x\":\x01\xFF"});
  const auto parsed = ReferenceParser::Parse(hostile);
  ASSERT_TRUE(parsed.json) << hostile;
  EXPECT_EQ(parsed.value.Find("request_id")->text, "a\"},\"x\":\x01\xEF\xBF\xBD");
}

TEST(ErrorShapes, ErrorEventsAreOneEventThatTheFamilysClientsSee) {
  for (const Family family : {Family::kChat, Family::kCompletions, Family::kMessages, Family::kResponses}) {
    std::string text;
    WriteErrorEvent(text, family,
                    {"line one\r\nline two \xE2\x80\xA8", "upstream_error", "stream_interrupted", "", "r"});
    SseDecoder decoder;
    SseEvent event;
    decoder.Feed(text);
    ASSERT_EQ(decoder.Next(event), SseDecoder::Step::kEvent);
    EXPECT_EQ(event.raw, text);
    EXPECT_FALSE(event.has_junk);
    EXPECT_TRUE(ReferenceParser::Parse(event.data).json) << event.data;
    JsonParser parser(1);
    StreamTap tap(family);
    EXPECT_TRUE(tap.Look(event, parser).error);
    EXPECT_EQ(event.name, family == Family::kMessages    ? "error"
                          : family == Family::kResponses ? "response.failed"
                                                         : "");
  }
  std::string failed;
  WriteErrorEvent(failed, Family::kResponses, kError);
  EXPECT_EQ(failed,
            "event: response.failed\ndata: "
            "{\"type\":\"response.failed\",\"response\":{\"object\":\"response\",\"status\":\"failed\","
            "\"error\":{\"code\":\"stream_interrupted\",\"message\":\"it \\\"broke\\\"\\n\"},\"output\":[]}}\n\n");
}

struct Normalised {
  Normalised(Family family, unsigned status, std::string_view body) {
    JsonParser parser(1);
    result = NormaliseError(family, status, body, "req-9", parser, wrapped);
  }
  UpstreamErrorBody result;
  std::string wrapped;
};

TEST(ErrorShapes, ErrorObjectsOfTheClientsFamilyPassUntouched) {
  for (const char* body : {R"({"error":{"message":"x","type":"BadRequestError","param":null,"code":400}})",
                           R"( {"error":{"code":503,"message":"Loading model","type":"unavailable_error"}} )",
                           R"({"error":{"message":"x"}})"}) {
    const Normalised normalised(Family::kChat, 400, body);
    EXPECT_TRUE(normalised.result.pass) << body;
    EXPECT_TRUE(normalised.wrapped.empty()) << body;
  }
  EXPECT_TRUE(
      Normalised(Family::kMessages, 529, R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})")
          .result.pass);
}

TEST(ErrorShapes, OtherServersShapesAreWrappedWithWhatTheySay) {
  const struct {
    const char* what;
    Family family;
    unsigned status;
    std::string body;
    const char* wrapped;
  } rows[] = {
      {"SGLang", Family::kChat, 400,
       R"({"object":"error","message":"too \"long\"","type":"BadRequestError","param":null,"code":400})",
       R"({"error":{"message":"too \"long\"","type":"BadRequestError","param":null,"code":"400"}})"},
      {"TGI", Family::kChat, 429, R"({"error":"Model is overloaded","error_type":"overloaded"})",
       R"({"error":{"message":"Model is overloaded","type":"overloaded","param":null,"code":"upstream_status"}})"},
      {"Triton", Family::kChat, 400, R"({"error":"unknown model 'x'"})",
       R"({"error":{"message":"unknown model 'x'","type":"invalid_request_error","param":null,"code":"upstream_status"}})"},
      {"FastAPI text", Family::kChat, 404, R"({"detail":"Not Found"})",
       R"({"error":{"message":"Not Found","type":"not_found_error","param":null,"code":"upstream_status"}})"},
      {"FastAPI list", Family::kChat, 422,
       R"({"detail":[{"loc":["body","messages",0],"msg":"field required","type":"missing"},{"msg":"second"}]})",
       R"({"error":{"message":"field required","type":"invalid_request_error","param":"0","code":"upstream_status"}})"},
      {"Anthropic's to an OpenAI client", Family::kChat, 529, R"({"type":"error","error":{"type":"overloaded_error"}})",
       R"({"error":{"message":"the upstream answered with status 529","type":"overloaded_error","param":null,"code":"upstream_status"}})"},
      {"OpenAI's to an Anthropic client", Family::kMessages, 401,
       R"({"error":{"message":"no key","type":"authentication_error","code":401}})",
       R"({"type":"error","error":{"type":"authentication_error","message":"no key"},"request_id":"req-9"})"},
      {"plain text", Family::kChat, 500, " Internal Server Error\n",
       R"({"error":{"message":"Internal Server Error","type":"upstream_error","param":null,"code":"upstream_status"}})"},
      {"HTML", Family::kChat, 502, "<html><script>x</script></html>",
       R"({"error":{"message":"the upstream answered with status 502","type":"upstream_error","param":null,"code":"upstream_status"}})"},
      {"empty", Family::kChat, 429, "",
       R"({"error":{"message":"the upstream answered with status 429","type":"rate_limit_error","param":null,"code":"upstream_status"}})"},
      {"JSON without an error", Family::kMessages, 500, R"({"ok":false})",
       R"({"type":"error","error":{"type":"upstream_error","message":"the upstream answered with status 500"},"request_id":"req-9"})"},
      {"broken JSON", Family::kChat, 403, R"({"error":{"message":"secret)",
       R"({"error":{"message":"the upstream answered with status 403","type":"permission_error","param":null,"code":"upstream_status"}})"},
      {"ill-typed", Family::kChat, 500, R"({"error":{"message":{"a":1},"type":7,"code":null}})",
       R"({"error":{"message":"the upstream answered with status 500","type":"upstream_error","param":null,"code":"upstream_status"}})"},
  };
  for (const auto& row : rows) {
    const Normalised normalised(row.family, row.status, row.body);
    EXPECT_FALSE(normalised.result.pass) << row.what;
    EXPECT_EQ(normalised.wrapped, row.wrapped) << row.what;
  }
  const Normalised text(Family::kChat, 500, std::string(10'000, 'x'));
  EXPECT_LT(text.wrapped.size(), 2300u) << "a long text is cut";
  EXPECT_TRUE(ReferenceParser::Parse(Normalised(Family::kChat, 500, "caf\xC3").wrapped).json);
}

TEST(ErrorShapes, RefusalsThatAnotherTryCannotCure) {
  const struct {
    unsigned status;
    const char* body;
    Refusal refusal;
  } rows[] = {
      {400, R"({"error":{"message":"x","code":"context_length_exceeded"}})", Refusal::kContextLength},
      {400, R"({"error":{"code":400,"message":"x","type":"exceed_context_size_error","n_ctx":512}})",
       Refusal::kContextLength},
      {400, R"({"error":{"message":"This model's maximum context length is 4096 tokens.","code":400}})",
       Refusal::kContextLength},
      {400,
       R"({"object":"error","message":"The input (9 tokens) is longer than the model's context length (8 tokens).","code":400})",
       Refusal::kContextLength},
      {422,
       R"({"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096","error_type":"validation"})",
       Refusal::kContextLength},
      {400, R"({"error":{"message":"x","code":"content_policy_violation"}})", Refusal::kContentPolicy},
      {400, R"({"error":{"message":"x","code":"content_filter"}})", Refusal::kContentPolicy},
      {400, R"({"error":{"message":"bad field","type":"BadRequestError","code":400}})", Refusal::kOther},
      {500, R"({"error":{"message":"maximum context length"}})", Refusal::kOther},
      {400, "context length", Refusal::kOther},
      {400, "", Refusal::kOther},
  };
  for (const auto& row : rows)
    EXPECT_EQ(Normalised(Family::kChat, row.status, row.body).result.refusal, row.refusal) << row.body;
}

TEST(ErrorShapes, U_17_A5xxIsTheServersFaultUnlessItClearlySaysOtherwise) {
  const struct {
    const char* message;
    const char* type;
    Refusal refusal;
  } rows[] = {
      {"input (600 tokens) is too large to process", "server_error", Refusal::kContextLength},
      {"[json.exception.type_error.302] type must be number, but is string", "server_error", Refusal::kRequest},
      {"[json.exception.parse_error.101] parse error at line 1", "server_error", Refusal::kRequest},
      {"[json.exception.type_error.316] invalid UTF-8 byte at index 3", "server_error", Refusal::kOther},
      {"the model said [json.exception.type_error.302]", "server_error", Refusal::kOther},
      {"x", "invalid_request_error", Refusal::kRequest},
      {"x", "BadRequestError", Refusal::kRequest},
      {"x", "InternalServerError", Refusal::kOther},
      {"Loading model", "unavailable_error", Refusal::kOther},
      {"Context size has been exceeded.", "server_error", Refusal::kOther},
  };
  for (const auto& row : rows) {
    const std::string parts = std::string("\"message\":\"") + row.message + "\",\"type\":\"" + row.type + "\"";
    const Normalised llamacpp(Family::kChat, 500, "{\"error\":{\"code\":500," + parts + "}}");
    EXPECT_EQ(llamacpp.result.refusal, row.refusal) << parts;
    EXPECT_TRUE(llamacpp.result.pass) << "whoever is at fault, the client reads the upstream's words";
    EXPECT_EQ(Normalised(Family::kMessages, 503, "{\"object\":\"error\"," + parts + "}").result.refusal, row.refusal);
  }
}

}  // namespace
}  // namespace penstock::llm
