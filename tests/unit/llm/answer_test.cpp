#include "penstock/llm/answer.hpp"

#include <gtest/gtest.h>

#include <string>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"
#include "random_json.hpp"

namespace penstock::llm {
namespace {

AnswerSummary Read(Family family, std::string_view body) {
  JsonParser parser(1);
  const test::ExactCopy copy(body);
  return ReadAnswer(family, copy.view(), parser);
}

TEST(Answer, ReadsFinishReasonsAndUsageOfEachFamily) {
  const struct {
    const char* what;
    Family family;
    const char* body;
    bool complete, storable;
    std::uint32_t choices, prompt, completion, cached;
  } rows[] = {
      {"chat", Family::kChat,
       R"({"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}})",
       true, true, 1, 3, 4, 2},
      {"two choices, one cut by length", Family::kChat,
       R"({"choices":[{"finish_reason":"stop"},{"finish_reason":"length"}]})", true, false, 2, 0, 0, 0},
      {"a choice without reason", Family::kChat, R"({"choices":[{"finish_reason":"stop"},{"finish_reason":null}]})",
       false, false, 2, 0, 0, 0},
      {"no choice", Family::kChat, R"({"choices":[]})", false, false, 0, 0, 0, 0},
      {"tool calls", Family::kChat, R"({"choices":[{"finish_reason":"tool_calls"}]})", true, true, 1, 0, 0, 0},
      {"filtered", Family::kChat, R"({"choices":[{"finish_reason":"content_filter"}]})", true, false, 1, 0, 0, 0},
      {"timings", Family::kCompletions,
       R"({"choices":[{"text":"","finish_reason":"stop"}],"timings":{"cache_n":2,"prompt_n":3,"predicted_n":9}})", true,
       true, 1, 5, 9, 2},
      {"embeddings", Family::kEmbeddings, R"({"data":[],"usage":{"prompt_tokens":12,"total_tokens":12}})", true, true,
       0, 12, 0, 0},
      {"tokenize", Family::kTokenize, R"({"tokens":[1,2]})", true, true, 0, 0, 0, 0},
      {"messages", Family::kMessages,
       R"({"type":"message","stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":6}})", true, true, 0, 5,
       6, 0},
      {"messages cut", Family::kMessages, R"({"type":"message","stop_reason":"max_tokens"})", true, false, 0, 0, 0, 0},
      {"messages without reason", Family::kMessages, R"({"type":"message","stop_reason":null})", false, false, 0, 0, 0,
       0},
      {"responses", Family::kResponses,
       R"({"object":"response","status":"completed","error":null,"usage":{"input_tokens":1,"output_tokens":2}})", true,
       true, 0, 1, 2, 0},
      {"responses still running", Family::kResponses, R"({"object":"response","status":"in_progress"})", true, false, 0,
       0, 0, 0},
      {"an error behind 200", Family::kEmbeddings, R"({"error":{"message":"x"}})", true, false, 0, 0, 0, 0},
      {"SGLang's error behind 200", Family::kEmbeddings, R"({"object":"error","message":"x"})", true, false, 0, 0, 0,
       0},
  };
  for (const auto& row : rows) {
    const AnswerSummary summary = Read(row.family, row.body);
    EXPECT_TRUE(summary.well_formed) << row.what;
    EXPECT_EQ(summary.complete, row.complete) << row.what;
    EXPECT_EQ(summary.storable(), row.storable) << row.what;
    EXPECT_EQ(summary.choices, row.choices) << row.what;
    EXPECT_EQ(summary.usage.prompt_tokens, row.prompt) << row.what;
    EXPECT_EQ(summary.usage.completion_tokens, row.completion) << row.what;
    EXPECT_EQ(summary.usage.cached_tokens, row.cached) << row.what;
  }
}

TEST(JsonFaults, J_18_WhateverAnUpstreamAnswersIsNoException) {
  std::string deep = "{\"choices\":";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  const std::string huge = "{\"choices\":[{\"finish_reason\":\"" + std::string(5'000'000, 'x') + "\"}]}";
  for (const std::string& body :
       {std::string(), std::string("<html>"), std::string("{\"choices\":[{\"finish_reason\":\"stop\"}]"),
        std::string("\xFF\xFE"), std::string("[]"), std::string("null"), std::string("\"x\""), deep}) {
    const AnswerSummary summary = Read(Family::kChat, body);
    EXPECT_FALSE(summary.well_formed) << body.substr(0, 40);
    EXPECT_FALSE(summary.storable()) << body.substr(0, 40);
  }
  for (const std::string& body :
       {std::string(R"({"choices":7,"usage":[],"timings":"x","error":[]})"),
        std::string(R"({"choices":[1,null,{"finish_reason":{"type":7}}],"usage":{"prompt_tokens":{}}})"), huge}) {
    const AnswerSummary summary = Read(Family::kChat, body);
    EXPECT_TRUE(summary.well_formed) << body.substr(0, 40);
    EXPECT_FALSE(summary.storable()) << body.substr(0, 40);
  }
}

TEST(JsonFaults, J_18_RandomAnswersOfEveryFamily) {
  Prng prng(5);
  JsonParser parser(1);
  for (int round = 0; round < 5000; ++round) {
    std::string body = R"({"choices":)" + test::RandomValue(prng, 3) + R"(,"usage":)" + test::RandomValue(prng, 2) +
                       R"(,"status":)" + test::RandomValue(prng, 1) + R"(,"timings":)" + test::RandomValue(prng, 2) +
                       "}";
    if (prng.Below(2) == 0) test::MutateJson(prng, body);
    const test::ExactCopy copy(body);
    for (const Family family : {Family::kChat, Family::kResponses, Family::kMessages, Family::kRerank}) {
      const AnswerSummary summary = ReadAnswer(family, copy.view(), parser);
      ASSERT_TRUE(summary.well_formed || !summary.complete);
    }
  }
}

}  // namespace
}  // namespace penstock::llm
