// Generated answers: a document, and beside it a stream of the same that is cut into pieces by chance, as a server
// that we do not know might do it.

#include <string>
#include <vector>

#include "converted.hpp"
#include "penstock/base/prng.hpp"
#include "random_json.hpp"

namespace penstock::llm {
namespace {

/// A text in pieces; each is the inside of a JSON string.
struct Pieces {
  std::vector<std::string> list;

  std::string Whole() const {
    std::string whole = "\"";
    for (const std::string& piece : list) whole += piece;
    return whole + "\"";
  }
};

/// At least one piece that is not empty: what has no text differs between servers.
Pieces RandomPieces(Prng& prng) {
  Pieces pieces;
  for (std::uint64_t n = 1 + prng.Below(4); n != 0; --n) {
    const std::string text = test::RandomString(prng);
    pieces.list.push_back(text.substr(1, text.size() - 2));
  }
  pieces.list[prng.Below(pieces.list.size())] += "x";
  return pieces;
}

/// One answer in both forms.
struct Twins {
  explicit Twins(Prng& a_prng) : prng(a_prng) {}

  std::string answer;
  std::string events;

  void Event(const std::string& choices, const std::string& more = {}) {
    events += R"(data: {"id":"c","created":1,"object":"chat.completion.chunk")" + more + R"(,"choices":[)" + choices +
              "]}\n\n";
  }
  void Choice(std::size_t index, const std::string& members) {
    Event("{\"index\":" + std::to_string(index) + "," + members + "}");
  }
  void Delta(std::size_t index, const std::string& members, const std::string& more = {}) {
    Choice(index, R"("delta":{)" + members + "}" + more);
  }

  std::string Text(std::size_t index, const char* key, std::string& logprobs) {
    const Pieces pieces = RandomPieces(prng);
    for (const std::string& piece : pieces.list) {
      std::string more;
      if (prng.Below(2) == 0) {
        const std::string element = test::RandomNumber(prng);
        more = R"(,"logprobs":{"content":[)" + element + R"(],"refusal":null})";
        logprobs += (logprobs.empty() ? "" : ",") + element;
      }
      Delta(index, "\"" + std::string(key) + "\":\"" + piece + "\"", more);
    }
    return ",\"" + std::string(key) + "\":" + pieces.Whole();
  }

  std::string ToolCalls(std::size_t index) {
    std::string calls;
    for (std::uint64_t n = 1 + prng.Below(3), i = 0; i < n; ++i) {
      const std::string at = R"("tool_calls":[{"index":)" + std::to_string(i);
      const std::string head = R"("id":"call_)" + std::to_string(i) + R"(","type":"function")";
      const Pieces arguments = RandomPieces(prng);
      Delta(index, at + "," + head + R"(,"function":{"name":"f","arguments":""}}])");
      for (const std::string& piece : arguments.list) {
        Delta(index, at + R"(,"function":{"arguments":")" + piece + "\"}}]");
      }
      calls +=
          (calls.empty() ? "{" : ",{") + head + R"(,"function":{"name":"f","arguments":)" + arguments.Whole() + "}}";
    }
    return R"(,"tool_calls":[)" + calls + "]";
  }

  std::string Choice(std::size_t index) {
    std::string message = R"("role":"assistant")";
    std::string logprobs;
    const bool calls = prng.Below(3) == 0;
    Delta(index, message + R"(,"content":)" + (calls ? "null" : "\"\""));
    if (prng.Below(3) == 0) message += Text(index, "reasoning_content", logprobs);
    message += calls ? R"(,"content":null)" : Text(index, "content", logprobs);
    if (prng.Below(4) == 0) message += Text(index, "refusal", logprobs);
    if (calls) message += ToolCalls(index);
    const std::string odd = R"("odd":{"v":)" + test::RandomNumber(prng) + "}";
    const std::string finish = std::string(R"("finish_reason":")") + (calls ? "tool_calls\"" : "stop\"");
    Choice(index, R"("delta":{},)" + odd + "," + finish);
    if (!logprobs.empty()) logprobs = R"(,"logprobs":{"content":[)" + logprobs + R"(],"refusal":null})";
    return R"({"index":)" + std::to_string(index) + R"(,"message":{)" + message + "}" + logprobs + "," + odd + "," +
           finish + "}";
  }

  void Generate() {
    std::string choices;
    for (std::uint64_t n = 1 + prng.Below(3), i = 0; i < n; ++i) choices += (i == 0 ? "" : ",") + Choice(i);
    const std::string usage = R"(,"usage":{"prompt_tokens":)" + std::to_string(prng.Below(99)) + "}";
    Event("", usage);
    events += "data: [DONE]\n\n";
    answer = R"({"id":"c","created":1,"object":"chat.completion","choices":[)" + choices + "]" + usage + "}";
  }

  Prng& prng;
};

TEST(CacheFaults, K_06_GeneratedAnswersAreTheSameInBothForms) {
  Prng prng(6);
  for (int round = 0; round < 500; ++round) {
    Twins twins(prng);
    twins.Generate();
    SCOPED_TRACE(twins.answer);
    test::ExpectSame(test::ToAnswer(Family::kChat, twins.events), twins.answer);
    const std::string events = test::ToEvents(Family::kChat, twins.answer);
    test::Read(Family::kChat, events);
    test::ExpectSame(test::ToAnswer(Family::kChat, events), twins.answer);
    if (HasFailure()) return;
  }
}

TEST(Conversion, DamagedAnswersAreRefusedOrWholeStreams) {
  Prng prng(7);
  JsonParser parser(1);
  int converted = 0;
  for (int round = 0; round < 2000; ++round) {
    Twins twins(prng);
    twins.Generate();
    test::MutateJson(prng, twins.answer);
    std::string events;
    const test::ExactCopy copy(twins.answer);
    if (WriteEvents({Family::kChat, true, test::kPlenty}, copy.view(), parser, events)) {
      EXPECT_TRUE(events.empty());
      continue;
    }
    ++converted;
    std::string again;
    EXPECT_FALSE(WriteAnswer(Family::kChat, events, test::kPlenty, parser, again).has_value()) << events;
  }
  EXPECT_GT(converted, 100);
}

}  // namespace
}  // namespace penstock::llm
