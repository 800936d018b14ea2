#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "exact_copy.hpp"
#include "penstock/llm/answer_writer.hpp"
#include "penstock/llm/event_writer.hpp"
#include "penstock/llm/stream_tap.hpp"
#include "reference_json.hpp"

namespace penstock::llm::test {

/// What conversions give, and a comparison of JSON that asks for the same values in any order of members.
constexpr std::size_t kPlenty = std::size_t{1} << 24;

inline std::string ToEvents(Family family, std::string_view answer, bool include_usage = true) {
  JsonParser parser(1);
  std::string out = "before";
  const ExactCopy copy(answer);
  const auto error = WriteEvents({family, include_usage, kPlenty}, copy.view(), parser, out);
  EXPECT_FALSE(error.has_value()) << (error ? error->context : "") << "\n" << answer;
  EXPECT_TRUE(out.starts_with("before"));
  return out.substr(6);
}

inline std::string ToAnswer(Family family, std::string_view events) {
  JsonParser parser(1);
  std::string out = "before";
  const ExactCopy copy(events);
  const auto error = WriteAnswer(family, copy.view(), kPlenty, parser, out);
  EXPECT_FALSE(error.has_value()) << (error ? error->context : "") << "\n" << events;
  EXPECT_TRUE(out.starts_with("before"));
  return out.substr(6);
}

inline void Sort(Value& value) {
  for (Value& item : value.items) Sort(item);
  for (auto& [name, member] : value.members) Sort(member);
  std::sort(value.members.begin(), value.members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
}

inline Value Sorted(std::string_view json) {
  auto verdict = ReferenceParser::Parse(json);
  EXPECT_TRUE(verdict.json && !verdict.duplicate_key) << json;
  Sort(verdict.value);
  return verdict.value;
}

inline void ExpectSame(std::string_view actual, std::string_view expected, std::string_view what = {}) {
  EXPECT_EQ(Sorted(actual), Sorted(expected)) << what << "\nactual   " << actual << "\nexpected " << expected;
}

/// The events' data, `[DONE]` included. The stream is whole, storable, and every event of it understood.
inline std::vector<std::string> Read(Family family, std::string_view events) {
  JsonParser parser(1);
  SseDecoder decoder;
  StreamTap tap(family);
  SseEvent event;
  std::vector<std::string> all;
  decoder.Feed(events);
  while (decoder.Next(event) == SseDecoder::Step::kEvent) {
    tap.Look(event, parser);
    EXPECT_TRUE(event.has_data && !event.has_junk) << event.raw;
    EXPECT_FALSE(event.data.find('\n') != std::string_view::npos) << event.raw;
    if (event.data != "[DONE]") {
      const auto verdict = ReferenceParser::Parse(event.data);
      EXPECT_TRUE(verdict.json && !verdict.duplicate_key) << event.raw;
      const Value* const type = verdict.value.Find("type");
      EXPECT_EQ(event.name, type != nullptr && !HasDone(family) ? type->text : "") << event.raw;
    }
    all.emplace_back(event.data);
  }
  EXPECT_TRUE(decoder.pending().empty());
  EXPECT_TRUE(tap.storable()) << events;
  EXPECT_EQ(tap.done_seen(), HasDone(family));
  return all;
}

}  // namespace penstock::llm::test
