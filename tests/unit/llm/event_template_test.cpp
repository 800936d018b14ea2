#include "penstock/llm/event_template.hpp"

#include <gtest/gtest.h>

#include <string>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"
#include "penstock/llm/stream_tap.hpp"
#include "random_json.hpp"

namespace penstock::llm {
namespace {

SseEvent Event(std::string_view data, std::string_view name = {}) { return {{}, data, name, true, false}; }

bool Same(const Sighting& a, const Sighting& b) {
  return a.commits == b.commits && a.content == b.content && a.finish == b.finish && a.done == b.done &&
         a.usage_only == b.usage_only && a.malformed == b.malformed && a.error == b.error &&
         a.error_status == b.error_status;
}

TEST(EventTemplate, KnowsAnEventByAllButItsText) {
  const std::string learnt = R"({"a":{"content":"one"},"b":1})";
  EventTemplate event;
  EXPECT_FALSE(event.Matches(learnt)) << "nothing learnt";
  event.Learn(learnt, std::string_view(learnt).substr(17, 3));
  const struct {
    std::string_view data;
    bool matches;
  } rows[] = {
      {learnt, true},
      {R"({"a":{"content":"t"},"b":1})", true},
      {R"({"a":{"content":"a longer text, with {}[]:, in it"},"b":1})", true},
      {"{\"a\":{\"content\":\"caf\xC3\xA9 \xE2\x82\xAC\"},\"b\":1}", true},
      {R"({"a":{"content":""},"b":1})", false},
      {R"({"a":{"content":"x"},"b":2})", false},
      {R"({"A":{"content":"x"},"b":1})", false},
      {R"({"a":{"content":"x"},"b":1} )", false},
      {R"({"a":{"content":"x\n"},"b":1})", false},
      {R"({"a":{"content":"x","content":"y"},"b":1})", false},
      {R"({"a":{"content":"x\"},"b":1})", false},
      {"{\"a\":{\"content\":\"\x01\"},\"b\":1}", false},
      {"{\"a\":{\"content\":\"\xFF\"},\"b\":1}", false},
      {"{\"a\":{\"content\":\"\xC3\"},\"b\":1}", false},
      {R"({"a":{"content":")", false},
      {"", false},
  };
  for (const auto& row : rows) {
    const test::ExactCopy data(row.data);
    EXPECT_EQ(event.Matches(data.view()), row.matches) << row.data;
  }
  event.Forget();
  EXPECT_FALSE(event.Matches(learnt));
  const std::string large = "{\"x\":\"" + std::string(EventTemplate::kBytesMax, 'x') + "\",\"content\":\"a\"}";
  event.Learn(large, std::string_view(large).substr(large.size() - 3, 1));
  EXPECT_FALSE(event.Matches(large)) << "too long to be kept";
}

std::string RandomChunk(Prng& prng) {
  const std::string text = test::RandomString(prng);
  const std::uint64_t kind = prng.Below(16);
  const char* const field = kind == 1 ? "reasoning_content" : kind == 2 ? "refusal" : "content";
  std::string chunk = R"({"id":"c1","created":)" + std::to_string(prng.Below(12) == 0 ? 2 : 1) +
                      R"(,"choices":[{"index":)" + std::to_string(prng.Below(10) == 0 ? 1 : 0) + R"(,"delta":{")" +
                      field + "\":" + text;
  if (kind == 3) chunk += ",\"content\":" + test::RandomString(prng);
  if (kind == 4) chunk += ",\"tool_calls\":[{}]";
  chunk += "}";
  chunk += kind == 5 ? R"(,"finish_reason":"stop")" : R"(,"finish_reason":null)";
  chunk += kind == 6               ? std::string(R"(}],"error":{"code":429}})")
           : kind < 12 && kind > 6 ? R"(}],"usage":{"completion_tokens":)" + std::to_string(prng.Below(2)) + "}}"
                                   : std::string("}]}");
  return chunk;
}

TEST(EventTemplate, ATapWithATemplateSeesWhatATapWithoutSees) {
  Prng prng(8128);
  JsonParser parser(1);
  int contents = 0, malformed = 0;
  for (int stream = 0; stream < 300; ++stream) {
    StreamTap tap(Family::kChat);
    Usage last;
    std::uint8_t reasons = 0;
    for (int i = 0; i < 60; ++i) {
      std::string data = RandomChunk(prng);
      if (prng.Below(5) == 0) test::MutateJson(prng, data);
      const test::ExactCopy copy(data);
      const std::string_view name = prng.Below(30) == 0 ? "error" : "";
      const Sighting got = tap.Look(Event(copy.view(), name), parser);
      StreamTap fresh(Family::kChat);  // has learnt nothing, so it parses
      const Sighting expected = fresh.Look(Event(copy.view(), name), parser);
      ASSERT_TRUE(Same(got, expected)) << data;
      if (fresh.usage().known) last = fresh.usage();
      reasons |= fresh.finish_reasons();
      contents += got.content ? 1 : 0;
      malformed += got.malformed ? 1 : 0;
    }
    ASSERT_EQ(tap.usage().known, last.known);
    ASSERT_EQ(tap.usage().completion_tokens, last.completion_tokens);
    ASSERT_EQ(tap.finish_reasons(), reasons);
  }
  EXPECT_GT(contents, 5000);
  EXPECT_GT(malformed, 500);
}

}  // namespace
}  // namespace penstock::llm
