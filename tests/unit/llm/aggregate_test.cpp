#include "penstock/llm/aggregate.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"
#include "random_json.hpp"
#include "reference_json.hpp"

namespace penstock::llm {
namespace {

using test::ReferenceParser;
using test::Value;

std::string Aggregate(Family family, const std::vector<std::string>& events) {
  JsonParser parser(1);
  Aggregator aggregator(family, 1 << 20);
  for (const std::string& event : events) {
    const test::ExactCopy copy(event);
    EXPECT_FALSE(aggregator.Add(copy.view(), parser).has_value()) << event;
  }
  std::string out;
  aggregator.Write(out);
  return out;
}

TEST(Aggregate, AChatStreamBecomesTheAnswerItWouldHaveBeen) {
  EXPECT_EQ(
      Aggregate(
          Family::kChat,
          {
              R"({"id":"c1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null})",
              R"({"id":"c1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"He said \"h"},"logprobs":null,"finish_reason":null}],"usage":null})",
              R"({"id":"c1","object":"chat.completion.chunk","created":18,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":"\u00e9\n\"."},"logprobs":null,"finish_reason":null}],"usage":null})",
              R"({"id":"c1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null})",
              R"({"id":"c1","object":"chat.completion.chunk","created":17,"model":"m","system_fingerprint":"fp","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})",
          }),
      R"({"id":"c1","object":"chat.completion","created":17,"model":"m","system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant","content":"He said \"h\u00e9\n\"."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})");
}

TEST(Aggregate, LlamaCppsTimingsAreKept) {
  EXPECT_EQ(
      Aggregate(
          Family::kChat,
          {
              R"({"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1,"id":"x","model":"m","object":"chat.completion.chunk"})",
              R"({"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hi"}}],"created":1,"id":"x","model":"m","object":"chat.completion.chunk"})",
              R"({"choices":[{"finish_reason":"length","index":0,"delta":{}}],"created":1,"id":"x","model":"m","object":"chat.completion.chunk","timings":{"predicted_n":1}})",
          }),
      R"({"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"length"}],"created":1,"id":"x","model":"m","object":"chat.completion","timings":{"predicted_n":1}})");
}

TEST(Aggregate, ToolCallsMergeByTheirIndex) {
  EXPECT_EQ(
      Aggregate(
          Family::kChat,
          {
              R"({"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"get","arguments":""}}]}}]})",
              R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","function":{"name":"","arguments":"{\"c\":"}}]}}]})",
              R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"call_3","type":"function","function":{"name":"third","arguments":"{}"}},{"index":0,"function":{"arguments":"\"Li"}}]}}]})",
              R"({"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_2","type":"function","function":{"name":"put","arguments":"{}"}},{"index":0,"function":{"arguments":"nz\"}"}}]}}]})",
              R"({"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]})",
          }),
      R"({"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get","arguments":"{\"c\":\"Linz\"}"}},{"id":"call_2","type":"function","function":{"name":"put","arguments":"{}"}},{"id":"call_3","type":"function","function":{"name":"third","arguments":"{}"}}]},"finish_reason":"tool_calls"}]})");
}

TEST(Aggregate, EveryOtherKindOfDelta) {
  const struct {
    const char* what;
    std::vector<std::string> deltas;
    const char* message;
  } rows[] = {
      {"reasoning",
       {R"({"role":"assistant","reasoning_content":"a"})", R"({"reasoning_content":"b"})", R"({"content":"c"})"},
       R"({"role":"assistant","reasoning_content":"ab","content":"c"})"},
      {"reasoning alone", {R"({"reasoning":"a"})"}, R"({"role":"assistant","reasoning":"a","content":null})"},
      {"refusal",
       {R"({"role":"assistant","content":null,"refusal":null})", R"({"refusal":"No"})", R"({"refusal":"."})"},
       R"({"role":"assistant","content":null,"refusal":"No."})"},
      {"function call",
       {R"({"function_call":{"name":"f","arguments":""}})", R"({"function_call":{"arguments":"{}"}})"},
       R"({"role":"assistant","function_call":{"name":"f","arguments":"{}"},"content":null})"},
      {"nothing", {R"({"role":"assistant","content":null})", "{}"}, R"({"role":"assistant","content":""})"},
      {"nothing at all", {"{}"}, R"({"role":"assistant","content":""})"},
      {"null role first", {R"({"role":null,"content":"a"})", R"({"role":"tool"})"}, R"({"role":"tool","content":"a"})"},
      {"the first role stays",
       {R"({"role":"assistant"})", R"({"role":"assistant","content":"a"})"},
       R"({"role":"assistant","content":"a"})"},
      {"unknown string, array, object",
       {R"({"x":"1","y":[1],"z":{"a":1}})", R"({"x":"2","y":[ ],"z":{"b":2}})", R"({"y":[2,3],"x":null})"},
       R"({"role":"assistant","x":"12","y":[1,2,3],"z":{"b":2},"content":null})"},
      {"a pair cut in two",
       {R"({"content":"\ud83d"})", R"({"content":"\ude00"})"},
       R"({"role":"assistant","content":"\ud83d\ude00"})"},
      {"tool calls without index",
       {R"({"tool_calls":[{"id":"a"},{"id":"b"}]})"},
       R"({"role":"assistant","tool_calls":[{"id":"a"},{"id":"b"}],"content":null})"},
  };
  for (const auto& row : rows) {
    std::vector<std::string> events;
    for (const std::string& delta : row.deltas) events.push_back(R"({"choices":[{"index":0,"delta":)" + delta + "}]}");
    EXPECT_EQ(Aggregate(Family::kChat, events),
              R"({"choices":[{"index":0,"message":)" + std::string(row.message) + "}]}")
        << row.what;
  }
}

TEST(Aggregate, SeveralChoicesAndTheirLogprobs) {
  EXPECT_EQ(
      Aggregate(
          Family::kChat,
          {
              R"({"choices":[{"index":1,"delta":{"content":"b"},"logprobs":{"content":[{"token":"b"}],"refusal":null}}]})",
              R"({"choices":[{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null}}]})",
              R"({"choices":[{"index":1,"delta":{"content":"B"},"logprobs":{"content":[{"token":"B"},{"token":"!"}],"refusal":null},"finish_reason":"stop","stop_reason":null}]})",
              R"({"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"length","token_ids":[7]}]})",
          }),
      R"({"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"logprobs":{"content":[{"token":"a"}],"refusal":null},"finish_reason":"length","token_ids":[7]},)"
      R"({"index":1,"message":{"role":"assistant","content":"bB"},"logprobs":{"content":[{"token":"b"},{"token":"B"},{"token":"!"}],"refusal":null},"finish_reason":"stop","stop_reason":null}]})");
}

TEST(Aggregate, CompletionsJoinTheirText) {
  EXPECT_EQ(
      Aggregate(
          Family::kCompletions,
          {
              R"({"id":"c","object":"text_completion","choices":[{"text":"On","index":0,"logprobs":{"tokens":["On"],"text_offset":[0]},"finish_reason":null}]})",
              R"({"id":"c","object":"text_completion","choices":[{"text":"ce","index":0,"logprobs":{"tokens":["ce"],"text_offset":[2]},"finish_reason":null}],"obfuscation":"aaaa"})",
              R"({"id":"c","object":"text_completion","choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"completion_tokens":2}})",
          }),
      R"({"id":"c","object":"text_completion","choices":[{"index":0,"text":"Once","logprobs":{"tokens":["On","ce"],"text_offset":[0,2]},"finish_reason":"stop"}],"usage":{"completion_tokens":2}})");
}

TEST(Aggregate, GrowthIsBounded) {
  JsonParser parser(1);
  Aggregator text(Family::kChat, 10'000);
  std::optional<Error> error;
  int events = 0;
  for (; !error && events < 100; ++events) {
    error = text.Add(R"({"choices":[{"delta":{"content":")" + std::string(1000, 'x') + R"("}}]})", parser);
  }
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, ErrorCode::kUpstreamProtocol);
  EXPECT_EQ(error->origin, Origin::kUpstream);
  EXPECT_LE(events, 10);

  std::string many = R"({"choices":[)";
  for (int i = 0; i < 2000; ++i) many += (i != 0 ? ",{\"index\":" : "{\"index\":") + std::to_string(i) + "}";
  EXPECT_TRUE(Aggregator(Family::kChat, 1 << 30).Add(many + "]}", parser).has_value());
  std::string calls = R"({"choices":[{"delta":{"tool_calls":[)";
  for (int i = 0; i < 2000; ++i) calls += i != 0 ? ",{}" : "{}";
  EXPECT_TRUE(Aggregator(Family::kChat, 1 << 30).Add(calls + "]}}]}", parser).has_value());
  std::string keys = R"({"choices":[{"delta":{"a":1)";
  for (int i = 0; i < 2000; ++i) keys += ",\"k" + std::to_string(i) + "\":1";
  EXPECT_TRUE(Aggregator(Family::kChat, 1 << 30).Add(keys + "}}]}", parser).has_value());
  EXPECT_TRUE(Aggregator(Family::kChat, 1 << 30).Add("[]", parser).has_value());
  EXPECT_TRUE(Aggregator(Family::kChat, 1 << 30).Add("{", parser).has_value());
}

TEST(Aggregate, TheTextIsThatOfTheStreamWhateverItsPieces) {
  Prng prng(77);
  for (int round = 0; round < 2000; ++round) {
    std::string expected[2];
    std::vector<std::string> events;
    for (std::uint64_t n = prng.Below(12); n != 0; --n) {
      const std::uint64_t index = prng.Below(2);
      const std::string piece = test::RandomString(prng);
      expected[index] += ReferenceParser::Parse(piece).value.text;
      events.push_back("{" + test::RandomSpace(prng) + R"("choices":[{"delta":{"content":)" + piece +
                       test::RandomSpace(prng) + R"(},"index":)" + std::to_string(index) + "}]}");
    }
    events.push_back(R"({"choices":[{"index":0,"delta":{"content":""}},{"index":1,"delta":{"content":""}}]})");
    const std::string answer = Aggregate(Family::kChat, events);
    const auto parsed = ReferenceParser::Parse(answer);
    ASSERT_TRUE(parsed.json && !parsed.duplicate_key) << answer;
    const Value* choices = parsed.value.Find("choices");
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_EQ(choices->items[i].Find("message")->Find("content")->text, expected[i]);
  }
}

}  // namespace
}  // namespace penstock::llm
