#include "sim/event_writer.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

AnswerFacts Facts(Kind kind, Family family) {
  AnswerFacts facts;
  facts.kind = kind;
  facts.family = family;
  facts.id = "0";
  facts.model = "m";
  facts.tokens = 3;
  facts.prompt_tokens = 20;
  facts.cached_tokens = 16;
  facts.include_usage = true;
  return facts;
}

std::string Take(Chain& chain) {
  std::string text;
  while (!chain.empty()) {
    text += chain.Front();
    chain.Consume(chain.Front().size());
  }
  return text;
}

std::string Stream(const AnswerFacts& facts) {
  ChunkPool pool;
  Chain out(pool);
  const auto writer = EventWriter::Make(facts);
  writer->Begin(out);
  for (std::uint32_t i = 0; i < facts.tokens; ++i) writer->Token(out, i);
  writer->Finish(out);
  return Take(out);
}

/// Every event's JSON, [DONE] left out.
std::vector<boost::json::value> Events(const std::string& stream) {
  std::vector<boost::json::value> events;
  std::size_t at = 0;
  while ((at = stream.find("data: ", at)) != std::string::npos) {
    const std::size_t end = stream.find("\n\n", at);
    const std::string text = stream.substr(at + 6, end - at - 6);
    if (text != "[DONE]") events.push_back(boost::json::parse(text));
    at = end;
  }
  return events;
}

TEST(EventWriter, EveryKindAndFamilyWritesJson) {
  for (int kind = 0; kind <= static_cast<int>(Kind::kOpenai); ++kind) {
    for (const Family family : {Family::kChat, Family::kCompletions, Family::kResponses, Family::kMessages}) {
      AnswerFacts facts = Facts(static_cast<Kind>(kind), family);
      for (const char* delta : {"content", "tool_calls", "function_call", "reasoning_content"}) {
        for (const UsageStyle usage :
             {UsageStyle::kAsked, UsageStyle::kNone, UsageStyle::kOnFinish, UsageStyle::kEveryEvent}) {
          facts.delta = delta;
          facts.usage = usage;
          facts.logprobs = usage == UsageStyle::kNone;
          facts.timings = usage == UsageStyle::kOnFinish;
          facts.choices = 2;
          EXPECT_GE(Events(Stream(facts)).size(), 4u);
          ChunkPool pool;
          Chain out(pool);
          const auto writer = EventWriter::Make(facts);
          writer->Whole(out);
          EXPECT_TRUE(boost::json::parse(Take(out)).is_object());
          writer->Error(out, 500, "a \"quoted\" text");
          Events(Take(out));
        }
      }
    }
  }
}

TEST(EventWriter, DeltasTogetherAreTheWholeText) {
  const AnswerFacts facts = Facts(Kind::kVllm, Family::kChat);
  std::string deltas, text;
  for (const auto& event : Events(Stream(facts))) {
    for (const auto& choice : event.at("choices").as_array()) {
      if (const auto* content = choice.at("delta").as_object().if_contains("content")) deltas += content->as_string();
    }
  }
  AppendText(text, facts.text_seed, facts.tokens);
  EXPECT_EQ(deltas, text);
}

TEST(EventWriter, ToolCallFragmentsAreJsonTogether) {
  AnswerFacts facts = Facts(Kind::kVllm, Family::kChat);
  facts.delta = "tool_calls";
  std::string arguments;
  for (const auto& event : Events(Stream(facts))) {
    for (const auto& choice : event.at("choices").as_array()) {
      if (const auto* calls = choice.at("delta").as_object().if_contains("tool_calls")) {
        arguments += calls->as_array()[0].at("function").at("arguments").as_string();
      }
    }
  }
  EXPECT_TRUE(boost::json::parse(arguments).at("note").is_string()) << arguments;
}

TEST(EventWriter, LlamaCppQuirks) {
  const std::string stream = Stream(Facts(Kind::kLlamacpp, Family::kChat));
  EXPECT_NE(stream.find(R"({"role":"assistant","content":null})"), std::string::npos);
  const auto events = Events(Stream(Facts(Kind::kLlamacpp, Family::kCompletions)));
  EXPECT_FALSE(events.back().at("choices").as_array().empty()) << "usage rides on the last choice of a text completion";
  EXPECT_TRUE(events.back().as_object().contains("usage"));
}

TEST(EventWriter, OllamaSwallowsErrors) {
  const AnswerFacts facts = Facts(Kind::kOllama, Family::kChat);
  ChunkPool pool;
  Chain out(pool);
  EventWriter::Make(facts)->Error(out, 500, "broken");
  const std::string text = Take(out);
  EXPECT_EQ(text.find("broken"), std::string::npos);
  EXPECT_EQ(text.find("[DONE]"), std::string::npos);
}

}  // namespace
}  // namespace penstock::sim
