#include "penstock/llm/stream_seam.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"
#include "penstock/llm/aggregate.hpp"

namespace penstock::llm {
namespace {

using From = StreamSeam::From;
using Joint = StreamSeam::Joint;

constexpr std::size_t kBytesMax = 4096;

std::string Chunk(std::string_view id, std::string_view delta, std::string_view finish = "null") {
  return R"({"id":")" + std::string(id) + R"(","object":"chat.completion.chunk","created":)" + (id == "a" ? "1" : "2") +
         R"(,"model":"m-)" + std::string(id) + R"(","choices":[{"index":0,"delta":)" + std::string(delta) +
         R"(,"logprobs":null,"finish_reason":)" + std::string(finish) + "}]}";
}

std::string Text(std::string_view id, std::string_view text, std::string_view finish = "null") {
  return Chunk(id, R"({"content":")" + std::string(text) + R"("})", finish);
}

/// Owned by the test. A seam with its parser.
class Seam {
 public:
  explicit Seam(Family family = Family::kChat, std::size_t bytes_max = kBytesMax) : seam(family, bytes_max) {}

  void Note(const std::vector<std::string>& events) {
    for (const std::string& event : events) seam.Note(test::ExactCopy(event).view(), parser);
  }
  Joint Rewrite(const std::string& event) {
    out.clear();
    return seam.Rewrite(test::ExactCopy(event).view(), parser, out);
  }

  JsonParser parser{1};
  StreamSeam seam;
  std::string out;
};

std::string Event(const std::string& data) { return "data: " + data + "\n\n"; }

TEST(StreamSeam, WhatTheClientHasIsTakenOffARepetition) {
  Seam s;
  s.Note({Chunk("a", R"({"role":"assistant","content":""})"), Text("a", "one "), Text("a", "two ")});
  EXPECT_EQ(s.seam.text(), "one two ");
  EXPECT_EQ(s.seam.pieces(), 2U);
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Chunk("b", R"({"role":"assistant","content":""})")), Joint::kDrop);
  EXPECT_EQ(s.Rewrite(Text("b", "one tw")), Joint::kDrop);
  EXPECT_FALSE(s.seam.caught_up());
  EXPECT_EQ(s.Rewrite(Text("b", "o three ")), Joint::kPass);
  // The first answer's id and created, the second one's model.
  EXPECT_EQ(
      s.out,
      Event(
          R"({"id":"a","object":"chat.completion.chunk","created":1,"model":"m-b","choices":[{"index":0,"delta":{"content":"three "},"logprobs":null,"finish_reason":null}]})"));
  EXPECT_TRUE(s.seam.caught_up());
  EXPECT_EQ(s.Rewrite(Chunk("b", "{}", R"("stop")")), Joint::kPass);
  EXPECT_EQ(s.Rewrite("[DONE]"), Joint::kPass);
  EXPECT_EQ(s.out, "data: [DONE]\n\n");
  EXPECT_EQ(s.seam.text(), "one two three ");
}

TEST(StreamSeam, AContinuationIsPassedOnFromItsFirstWord) {
  Seam s;
  s.Note({Text("a", "one ")});
  s.seam.Join(From::kEnd);
  EXPECT_EQ(s.Rewrite(Chunk("b", R"({"role":"assistant","content":"one more"})")), Joint::kPass);
  EXPECT_NE(s.out.find(R"("delta":{"content":"one more"})"), std::string::npos) << s.out;
  EXPECT_EQ(s.seam.text(), "one one more");
}

TEST(StreamSeam, ItCanBreakAgain) {
  Seam s;
  s.Note({Text("a", "one ")});
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Text("b", "one two ")), Joint::kPass);
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Text("c", "one two th")), Joint::kPass);
  EXPECT_NE(s.out.find(R"("content":"th")"), std::string::npos) << s.out;
  EXPECT_NE(s.out.find(R"("id":"a")"), std::string::npos) << s.out;
}

TEST(StreamSeam, AnotherTextIsAnotherAnswer) {
  Seam s;
  s.Note({Text("a", "one two ")});
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Text("b", "one ")), Joint::kDrop);
  EXPECT_EQ(s.Rewrite(Text("b", "three ")), Joint::kTorn);
  EXPECT_FALSE(s.seam.joinable());
}

TEST(StreamSeam, AShorterAnswerIsAnotherAnswer) {
  for (const std::string& end : {Chunk("b", "{}", R"("stop")"), std::string("[DONE]")}) {
    Seam s;
    s.Note({Text("a", "one two ")});
    s.seam.Join(From::kStart);
    EXPECT_EQ(s.Rewrite(Text("b", "one ")), Joint::kDrop);
    EXPECT_EQ(s.Rewrite(end), Joint::kTorn) << end;
  }
}

TEST(StreamSeam, TextsAreComparedNotTheirEscapes) {
  Seam s;
  s.Note({Text("a", R"(h\u00e9 \ud83d\ude00\n)")});
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Text("b", "hé \xf0\x9f\x98\x80\\u000a")), Joint::kDrop);
  EXPECT_EQ(s.Rewrite(Text("b", R"(\"\u0007)")), Joint::kPass);
  EXPECT_NE(s.out.find(R"("content":"\"\u0007")"), std::string::npos) << s.out;
}

TEST(StreamSeam, ReasoningIsJoinedLikeText) {
  Seam s;
  s.Note({Chunk("a", R"({"reasoning_content":"hm, "})")});
  EXPECT_TRUE(s.seam.has_reasoning());
  EXPECT_EQ(s.seam.pieces(), 0U);
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Text("b", "one")), Joint::kPass) << "text may come before the rest of the thoughts";
  EXPECT_EQ(s.Rewrite(Chunk("b", "{}", R"("stop")")), Joint::kTorn) << "but it may not end without them";
}

TEST(StreamSeam, UsageAndItsEventStayWhatTheServerWrote) {
  Seam s;
  s.Note({Text("a", "one")});
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(Text("b", "one")), Joint::kDrop);
  EXPECT_EQ(s.Rewrite(R"({"id":"b","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}})"), Joint::kPass);
  EXPECT_EQ(s.out, Event(R"({"id":"a","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}})"));
}

TEST(StreamSeam, CompletionsHaveATextInEveryEvent) {
  Seam s(Family::kCompletions);
  s.Note({R"({"id":"a","choices":[{"index":0,"text":"one","logprobs":null,"finish_reason":null}]})"});
  s.seam.Join(From::kStart);
  EXPECT_EQ(s.Rewrite(R"({"id":"b","choices":[{"index":0,"text":"one","finish_reason":"stop"}]})"), Joint::kPass);
  EXPECT_EQ(s.out, Event(R"({"id":"a","choices":[{"index":0,"text":"","finish_reason":"stop"}]})"));
}

TEST(StreamSeam, WhatCannotBeJoined) {
  const std::vector<std::string> events = {
      Chunk("a", R"({"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]})"),
      Chunk("a", R"({"function_call":{"name":"f"}})"),
      Chunk("a", R"({"audio":{"data":"AAAA"}})"),
      R"({"choices":[{"index":1,"delta":{"content":"x"}}]})",
      R"({"choices":[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{}}]})",
      R"({"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"token":"x"}]}}]})",
      R"({"choices":[{"index":0,"delta":{"content":["x"]}}]})",
      "[]",
  };
  for (const std::string& event : events) {
    Seam first;
    first.Note({Text("a", "one"), event});
    EXPECT_FALSE(first.seam.joinable()) << event;
    Seam second;
    second.Note({Text("a", "one")});
    second.seam.Join(From::kEnd);
    EXPECT_EQ(second.Rewrite(event), Joint::kTorn) << event;
    EXPECT_EQ(second.out, "");
  }
}

TEST(StreamSeam, TooMuchTextIsNotHeld) {
  Seam s(Family::kChat, 8);
  s.Note({Text("a", "12345678")});
  EXPECT_TRUE(s.seam.joinable());
  s.Note({Text("a", "9")});
  EXPECT_FALSE(s.seam.joinable());
  EXPECT_EQ(s.seam.text(), "");
}

/// Whatever the cut and the pieces are, the client's stream makes the answer that one server would have given.
TEST(StreamSeam, AnyCutAndAnyPiecesMakeTheSameText) {
  Prng prng(7);
  const std::string whole = "The quick brown fox \xf0\x9f\xa6\x8a jumps over the \"lazy\" dog.\n";
  const auto pieces = [&](std::string_view id) {
    std::vector<std::string> events;
    std::size_t at = 0;
    while (at < whole.size()) {
      std::size_t end = std::min(whole.size(), at + 1 + prng.Below(9));
      while (end < whole.size() && (whole[end] & 0xC0) == 0x80) ++end;
      std::string raw;
      for (const char c : whole.substr(at, end - at)) {
        if (c == '"')
          raw += "\\\"";
        else if (c == '\n')
          raw += "\\n";
        else
          raw += c;
      }
      events.push_back(Text(id, raw));
      at = end;
    }
    return events;
  };
  for (int round = 0; round < 200; ++round) {
    Seam s;
    Aggregator client(Family::kChat, 1 << 20);
    std::vector<std::string> first = pieces("a");
    first.resize(prng.Below(first.size() + 1));
    s.Note(first);
    for (const std::string& event : first) EXPECT_FALSE(client.Add(event, s.parser).has_value());
    s.seam.Join(From::kStart);
    for (const std::string& event : pieces("b")) {
      const Joint joint = s.Rewrite(event);
      ASSERT_NE(joint, Joint::kTorn);
      if (joint == Joint::kPass) {
        EXPECT_FALSE(client.Add(std::string_view(s.out).substr(6, s.out.size() - 8), s.parser).has_value());
      }
    }
    EXPECT_EQ(s.seam.text(), whole);
    std::string answer;
    client.Write(answer);
    EXPECT_NE(answer.find("fox \xf0\x9f\xa6\x8a jumps over the \\\"lazy\\\" dog."), std::string::npos) << answer;
    EXPECT_EQ(answer.find("fox", answer.find("fox") + 1), std::string::npos) << answer;
  }
}

}  // namespace
}  // namespace penstock::llm
