// Answers: JSON to protobuf, read back by the generated classes.

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <penstock/v1/inference.pb.h>

#include <cmath>

#include "unit/grpc/translated.hpp"

namespace penstock::grpc {
namespace {

using google::protobuf::util::MessageDifferencer;
using test::FromText;

struct Case {
  const char* name;
  const char* json;
  const char* text;  ///< protobuf's text format
};

constexpr Case kChat[] = {
    {"Empty", "{}", ""},
    {"Usual",
     R"({ "id" : "chatcmpl-1", "object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,)"
     R"("message":{"role":"assistant","content":"a\nb\u00e9\ud83d\ude00 \"q\"","refusal":null,"annotations":[]},)"
     R"("logprobs":null,"finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":5,"completion_tokens":7,)"
     R"("total_tokens":12,"prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":null,"prompt_logprobs":[{}]})",
     "id: 'chatcmpl-1' object: 'chat.completion' created: 1700000000 model: 'm' choices { message { role: "
     "ROLE_ASSISTANT "
     "content: 'a\\nb\\303\\251\\360\\237\\230\\200 \"q\"' } finish_reason: 'stop' } usage { prompt_tokens: 5 "
     "completion_tokens: 7 total_tokens: 12 prompt_tokens_details { cached_tokens: 0 } }"},
    {"ToolCalls",
     R"({"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f",)"
     R"("arguments":"{\"x\":1}"}},{"type":"custom","custom":{"name":"g","input":""}}]},"finish_reason":"tool_calls"}]})",
     "choices { message { tool_calls { id: 'c' function { name: 'f' arguments: '{\"x\":1}' } } tool_calls { custom { "
     "name: 'g' input: '' } } } finish_reason: 'tool_calls' }"},
    {"Logprobs",
     R"({"choices":[{"logprobs":{"content":[{"token":"a","logprob":-0.25,"bytes":[97,255,0],"top_logprobs":[{"token":)"
     R"("b","logprob":-1e2,"bytes":null}]},{"token":"c","bytes":[]}],"refusal":[{"logprob":0}]}}]})",
     "choices { logprobs { content { token: 'a' logprob: -0.25 bytes: 'a\\377\\000' top_logprobs { token: 'b' logprob: "
     "-100 } } content { token: 'c' bytes: '' } refusal { } } }"},
    {"StopReasons", R"({"choices":[{"stop_reason":"x"},{"stop_reason":128009},{"stop_reason":{}}]})",
     "choices { stop_reason: 'x' } choices { stop_token_id: 128009 } choices { }"},
    {"ContentInParts",
     R"({"choices":[{"message":{"content":[{"type":"text","text":"t"},{"type":"input_audio","input_audio":)"
     R"({"data":"YWL/","format":"wav"}}]}}]})",
     "choices { message { parts { text: 't' } parts { input_audio { data: 'ab\\377' format: 'wav' } } } }"},
    {"WrongTypesAreLeftOut",
     R"({"id":1,"created":"x","model":["m"],"choices":[7,{"index":"0","message":[],"finish_reason":true},null,{}],)"
     R"("usage":{"prompt_tokens":1.5,"completion_tokens":1e1,"total_tokens":1e30,"prompt_tokens_details":null},)"
     R"("service_tier":{}})",
     "choices { } choices { } choices { } usage { completion_tokens: 10 }"},
    {"Int32Range", R"({"choices":[{"index":2147483647},{"index":-2147483648},{"index":2147483648}]})",
     "choices { index: 2147483647 } choices { index: -2147483648 } choices { }"},
    {"UnknownWord", R"({"choices":[{"message":{"role":"robot"}}]})", "choices { message { } }"},
    {"BrokenBase64", R"({"choices":[{"message":{"audio":{"id":"a","data":"*"}}}]})",
     "choices { message { audio { id: 'a' } } }"},
};

constexpr Case kEmbed[] = {
    {"Numbers",
     R"({"object":"list","data":[{"object":"embedding","index":1,"embedding":[0.5,-1,1e-3,null,1e300]}],"model":"m",)"
     R"("usage":{"prompt_tokens":3,"total_tokens":3}})",
     "object: 'list' data { object: 'embedding' index: 1 embedding: 0.5 embedding: -1 embedding: 0.001 embedding: nan "
     "} "
     "model: 'm' usage { prompt_tokens: 3 total_tokens: 3 }"},
    {"Base64", R"({"data":[{"embedding":"AAAAPwAAgL8="}]})", "data { embedding: 0.5 embedding: -1 }"},
    {"Base64OfNoFloats", R"({"data":[{"embedding":"AAAAPwAA"}]})", "data { }"},
    {"NoNumbers", R"({"data":[{"embedding":[]}]})", "data { }"},
};

constexpr Case kComplete[] = {
    {"Logprobs",
     R"({"choices":[{"text":"x","logprobs":{"tokens":["a","b"],"token_logprobs":[null,-0.5],"top_logprobs":[null,)"
     R"({"b":-0.5,"\n":-1}],"text_offset":[0,1]}}]})",
     "choices { text: 'x' logprobs { tokens: 'a' tokens: 'b' token_logprobs: nan token_logprobs: -0.5 top_logprobs { } "
     "top_logprobs { logprobs { key: 'b' value: -0.5 } logprobs { key: '\\n' value: -1 } } text_offset: 0 text_offset: "
     "1 "
     "} }"},
};

constexpr Case kModels[] = {
    {"Two",
     R"({"object":"list","data":[{"id":"a","object":"model","created":1,"owned_by":"o","max_model_len":4096},)"
     R"({"id":"b","root":"r","parent":null}]})",
     "object: 'list' data { id: 'a' object: 'model' created: 1 owned_by: 'o' max_model_len: 4096 } data { id: 'b' "
     "root: "
     "'r' }"},
};

template <class Message>
void Check(const Case& row, const char* method) {
  llm::JsonParser parser(1);
  const auto wire = test::WireOf(method, row.json, parser);
  ASSERT_TRUE(wire) << row.name;
  Message read;
  ASSERT_TRUE(read.ParseFromString(*wire)) << row.name;
  // Text, because a NaN is no other NaN.
  EXPECT_EQ(read.DebugString(), FromText<Message>(row.text).DebugString()) << row.name;
}

TEST(GrpcAnswer, Chat) {
  for (const Case& row : kChat) Check<v1::ChatResponse>(row, "Chat");
}
TEST(GrpcAnswer, Embed) {
  for (const Case& row : kEmbed) Check<v1::EmbedResponse>(row, "Embed");
}
TEST(GrpcAnswer, Complete) {
  for (const Case& row : kComplete) Check<v1::CompleteResponse>(row, "Complete");
}
TEST(GrpcAnswer, ListModels) {
  for (const Case& row : kModels) Check<v1::ListModelsResponse>(row, "ListModels");
}

TEST(GrpcAnswer, WhatIsNoObjectIsNone) {
  llm::JsonParser parser(1);
  for (const char* json : {"", "[]", "7", "\"x\"", "null", "{", "{} x", "{\"a\":01}", "{\"a\":\"\xFF\"}", "<html>"}) {
    EXPECT_FALSE(test::WireOf("Chat", json, parser)) << json;
  }
}

TEST(GrpcAnswer, LengthsOfEverySize) {
  llm::JsonParser parser(1);
  for (const std::size_t size :
       {0,   1,   100,    118,    119,    120,    121,    122,    123,    124,    125,    126,    127,    128,
        129, 130, 16'375, 16'376, 16'377, 16'378, 16'379, 16'380, 16'381, 16'382, 16'383, 16'384, 16'385, 2'100'000}) {
    const std::string text(size, 'x');
    for (const char* escaped : {"", "\\n", "\\u0041\\u0041"}) {
      const auto wire =
          test::WireOf("Chat", R"({"choices":[{"message":{"content":")" + text + escaped + R"("}}]})", parser);
      v1::ChatResponse read;
      ASSERT_TRUE(wire && read.ParseFromString(*wire)) << size;
      const std::string tail = *escaped == '\0' ? "" : escaped[1] == 'n' ? "\n" : "AA";
      ASSERT_EQ(read.choices(0).message().content(), text + tail) << size;
    }
  }
}

TEST(GrpcAnswer, Events) {
  llm::JsonParser parser(1);
  const ReplyFacts facts;
  AnswerTranslator translator;
  translator.Begin(test::MethodOf("ChatStream"), facts);
  std::string out = "b";
  EXPECT_TRUE(translator.Event(
      R"({"id":"c","choices":[{"index":1,"delta":{"role":"assistant","content":"hi","tool_calls":[{"index":0,)"
      R"("function":{"arguments":"{"}}]},"finish_reason":null}],"usage":null})",
      parser, out));
  v1::ChatChunk read;
  ASSERT_TRUE(read.ParseFromString(out.substr(1)));
  EXPECT_TRUE(MessageDifferencer::Equals(
      read,
      FromText<v1::ChatChunk>("id: 'c' choices { index: 1 delta { role: ROLE_ASSISTANT content: 'hi' tool_calls { "
                              "index: 0 function { arguments: '{' } } } }")))
      << read.DebugString();
  out = "b";
  for (const char* nothing : {"{}", R"({"error":{"message":"x"}})", "[]", "x", "", R"({"id":null})"}) {
    EXPECT_FALSE(translator.Event(nothing, parser, out)) << nothing;
  }
  EXPECT_FALSE(translator.Finish(out));
  EXPECT_FALSE(translator.Failure("x", out));
  EXPECT_EQ(out, "b");
}

TEST(GrpcErrorObject, Shapes) {
  llm::JsonParser parser(1);
  auto error = ReadErrorObject(
      R"({"error":{"message":"a\n\u00e9","type":"invalid_request_error","code":"invalid_param","param":"n"}})", parser);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message, "a\n\xC3\xA9");
  EXPECT_EQ(error->type, "invalid_request_error");
  EXPECT_EQ(error->code, "invalid_param");
  EXPECT_EQ(error->param, "n");
  error = ReadErrorObject(R"({"error":{"message":"m","code":429,"param":null}})", parser);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "429");
  EXPECT_EQ(error->param, "");
  error = ReadErrorObject(R"({"error":"plain"})", parser);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->message, "plain");
  for (const char* none : {"", "{}", "[]", R"({"error":null})", R"({"error":7})", "<html>", R"({"message":"x"})"}) {
    EXPECT_FALSE(ReadErrorObject(none, parser)) << none;
  }
}

}  // namespace
}  // namespace penstock::grpc
