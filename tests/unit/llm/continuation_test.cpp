#include "penstock/llm/continuation.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::llm {
namespace {

std::optional<std::string> Continue(Family family, const std::string& body, const Begun& begun = {"so f\"ar", 2}) {
  JsonParser parser(1);
  const Result<RequestView> request = ParseRequest(family, body, parser);
  EXPECT_TRUE(request.has_value()) << body;
  std::optional<std::string> made = WriteContinuation(*request, begun, parser);
  if (made) {
    EXPECT_TRUE(ParseRequest(family, *made, parser).has_value()) << *made;
  }
  return made;
}

TEST(Continuation, AChatGetsItsAnswersBeginningAsTheLastMessage) {
  EXPECT_EQ(
      Continue(Family::kChat, R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}],"x": [1, 2]})"),
      R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"so f\"ar"}],"x":[1, 2],"continue_final_message":true,"add_generation_prompt":false})");
}

TEST(Continuation, ACompletionGetsItBehindItsPrompt) {
  EXPECT_EQ(Continue(Family::kCompletions, R"({"model":"m","prompt":"Once \u00e9"})"),
            R"({"model":"m","prompt":"Once \u00e9so f\"ar"})");
}

TEST(Continuation, WhatWasSaidIsTakenOffTheLimits) {
  EXPECT_EQ(Continue(Family::kCompletions,
                     R"({"model":"m","max_tokens":5,"max_completion_tokens":3,"min_tokens":1,"prompt":"a"})"),
            R"({"model":"m","max_tokens":3,"max_completion_tokens":1,"min_tokens":0,"prompt":"aso f\"ar"})");
  EXPECT_EQ(Continue(Family::kCompletions, R"({"model":"m","max_tokens":2,"prompt":"a"})"), std::nullopt);
}

TEST(Continuation, NotWhereAServerWouldBeginAnew) {
  const char* const fields[] = {
      R"("response_format":{"type":"json_object"})",
      R"("guided_regex":"a+")",
      R"("structured_outputs":{"regex":"a"})",
      R"("tool_choice":"required")",
      R"("tool_choice":{"type":"function","function":{"name":"f"}})",
      R"("continue_final_message":true)",
      R"("add_generation_prompt":true)",
      R"("n":2)",
  };
  for (const char* const field : fields) {
    EXPECT_EQ(Continue(Family::kChat,
                       R"({"model":"m","messages":[{"role":"user","content":"hi"}],)" + std::string(field) + "}"),
              std::nullopt)
        << field;
  }
  EXPECT_EQ(Continue(Family::kCompletions, R"({"model":"m","prompt":["a"]})"), std::nullopt);
  EXPECT_EQ(Continue(Family::kCompletions, R"({"model":"m","prompt":[1,2]})"), std::nullopt);
  EXPECT_EQ(Continue(Family::kCompletions, R"({"model":"m","prompt":"a","echo":true})"), std::nullopt);
  EXPECT_EQ(Continue(Family::kChat, R"({"model":"m","messages":[{"role":"user","content":"hi"}]})", {"", 0}),
            std::nullopt);
}

TEST(Continuation, WhatSaysNothingIsNoHindrance) {
  EXPECT_EQ(
      Continue(
          Family::kChat,
          R"({"model":"m","messages":[{"role":"user","content":"hi"}],"response_format":{"type":"text"},"tool_choice":"auto","guided_regex":null,"add_generation_prompt":false})"),
      R"({"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"so f\"ar"}],"response_format":{"type":"text"},"tool_choice":"auto","guided_regex":null,"continue_final_message":true,"add_generation_prompt":false})");
}

}  // namespace
}  // namespace penstock::llm
