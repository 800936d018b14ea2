#include "penstock/llm/sse_decoder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "exact_copy.hpp"
#include "penstock/base/prng.hpp"

namespace penstock::llm {
namespace {

using test::ExactCopy;
using Step = SseDecoder::Step;

struct Seen {
  std::string data;
  std::string name;
  bool has_data = false;
  bool has_junk = false;

  bool operator==(const Seen&) const = default;
};

struct Decoded {
  std::vector<Seen> events;
  std::string raw;  ///< of all events, and what was pending at the end
  bool too_long = false;
  bool mid_event = false;
  std::uint64_t consumed = 0;
};

/// Feeds `text` in pieces, each an allocation of its own that dies after its events were read.
Decoded Decode(std::string_view text, const std::vector<std::size_t>& cuts,
               std::size_t event_bytes_max = kSseEventDefault) {
  Decoded run;
  SseDecoder decoder(event_bytes_max);
  std::size_t at = 0;
  for (std::size_t i = 0; i <= cuts.size(); ++i) {
    const std::size_t next = i < cuts.size() ? cuts[i] : text.size();
    const ExactCopy piece(text.substr(at, next - at));
    at = next;
    decoder.Feed(piece.view());
    SseEvent event;
    Step step;
    while ((step = decoder.Next(event)) == Step::kEvent) {
      run.events.push_back({std::string(event.data), std::string(event.name), event.has_data, event.has_junk});
      run.raw += event.raw;
    }
    if (step == Step::kTooLong) {
      run.too_long = true;
      return run;
    }
  }
  run.raw += decoder.pending();
  run.mid_event = decoder.mid_event();
  run.consumed = decoder.consumed();
  return run;
}

/// The standard's own way, line by line over the whole text, without events that have no data.
std::vector<Seen> Reference(std::string_view text) {
  std::vector<Seen> events;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  Seen current;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
    if (line.empty()) {
      if (current.has_data) events.push_back(current);
      current = {};
    } else if (line.front() != ':') {
      const std::size_t colon = line.find(':');
      std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
      if (value.starts_with(' ')) value.remove_prefix(1);
      const std::string_view field = line.substr(0, colon);
      if (field == "data") {
        if (current.has_data) current.data += '\n';
        current.data += value;
        current.has_data = true;
      } else if (field == "event") {
        current.name = value;
      } else if (field != "id" && field != "retry") {
        current.has_junk = true;
      }
    }
  }
  return events;
}

std::vector<Seen> WithData(const std::vector<Seen>& events) {
  std::vector<Seen> kept;
  for (const Seen& event : events) {
    if (event.has_data) kept.push_back(event);
  }
  return kept;
}

TEST(SseDecoder, BorrowsAnEventThatLiesInOnePiece) {
  const std::string piece = "data: {\"a\":1}\n\ndata:[DONE]\n\n";
  SseDecoder decoder;
  SseEvent event;
  decoder.Feed(piece);
  ASSERT_EQ(decoder.Next(event), Step::kEvent);
  EXPECT_EQ(event.data.data(), piece.data() + 6);
  EXPECT_EQ(event.data, "{\"a\":1}");
  EXPECT_EQ(event.raw, "data: {\"a\":1}\n\n");
  EXPECT_EQ(decoder.consumed(), event.raw.size());
  ASSERT_EQ(decoder.Next(event), Step::kEvent);
  EXPECT_EQ(event.data, "[DONE]");
  EXPECT_EQ(decoder.Next(event), Step::kNeedMore);
  EXPECT_FALSE(decoder.mid_event());
  EXPECT_EQ(decoder.consumed(), piece.size());
}

TEST(UpstreamFaults, U_14_OddButLegalStreamsReadAsTheStandardSays) {
  const struct {
    const char* name;
    std::string_view text;
    std::vector<Seen> events;
  } rows[] = {
      {"LF", "data: a\n\n", {{"a", "", true, false}}},
      {"CRLF", "data: a\r\n\r\n", {{"a", "", true, false}}},
      {"CR", "data: a\r\rdata: b\r\r", {{"a", "", true, false}, {"b", "", true, false}}},
      {"mixed", "data: a\r\n\ndata: b\n\r\n", {{"a", "", true, false}, {"b", "", true, false}}},
      {"byte order mark",
       "\xEF\xBB\xBF"
       "data: a\n\n",
       {{"a", "", true, false}}},
      {"no space, one space, two",
       "data:a\n\ndata: a\n\ndata:  a\n\n",
       {{"a", "", true, false}, {"a", "", true, false}, {" a", "", true, false}}},
      {"several data lines", "data: {\ndata: \"a\":1\ndata: }\n\n", {{"{\n\"a\":1\n}", "", true, false}}},
      {"empty data",
       "data:\n\ndata\n\ndata: \n\n",
       {{"", "", true, false}, {"", "", true, false}, {"", "", true, false}}},
      {"empty data lines", "data:\ndata:\n\n", {{"\n", "", true, false}}},
      {"comment alone", ": ping\n\n", {{"", "", false, false}}},
      {"comment within", ": ping\ndata: a\n: pong\n\n", {{"a", "", true, false}}},
      {"name, id, retry", "event: message_stop\nid: 7\nretry: 10\ndata: {}\n\n", {{"{}", "message_stop", true, false}}},
      {"the last name counts", "event: a\nevent: b\ndata: 1\n\n", {{"1", "b", true, false}}},
      {"name without data", "event: a\n\ndata: 1\n\n", {{"", "a", false, false}, {"1", "", true, false}}},
      {"unknown field", "data: a\nfoo: bar\n\n", {{"a", "", true, true}}},
      {"a JSON body", "{\"error\":{}}\n\n", {{"", "", false, true}}},
      {"upper case is unknown", "DATA: a\n\n", {{"", "", false, true}}},
      {"blank lines",
       "\n\ndata: a\n\n\n",
       {{"", "", false, false}, {"", "", false, false}, {"a", "", true, false}, {"", "", false, false}}},
      {"NUL and invalid UTF-8 are kept",
       std::string_view("data: \0\xFF\n\n", 10),
       {{std::string("\0\xFF", 2), "", true, false}}},
      {"colon in value", "data: a: b\n\n", {{"a: b", "", true, false}}},
  };
  for (const auto& row : rows) {
    const Decoded run = Decode(row.text, {});
    EXPECT_EQ(run.events, row.events) << row.name;
    EXPECT_EQ(run.raw, row.text) << row.name;
    EXPECT_EQ(run.consumed, row.text.size()) << row.name;
    EXPECT_FALSE(run.mid_event) << row.name;
  }
}

TEST(UpstreamFaults, U_14_EverySplitReadsTheSameAndKeepsEveryByte) {
  const std::string text =
      "\xEF\xBB\xBF: hi\r\n\r\ndata: {\"a\":\"b\"}\n\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\n\n: "
      "p\n\ndata: [DONE]\n\n";
  const std::vector<Seen> expected = Reference(text);
  ASSERT_EQ(expected.size(), 5u);
  for (std::size_t i = 0; i <= text.size(); ++i) {
    for (std::size_t j = i; j <= text.size(); ++j) {
      const Decoded run = Decode(text, {i, j});
      ASSERT_EQ(WithData(run.events), expected) << i << " " << j;
      ASSERT_EQ(run.raw, text) << i << " " << j;
      ASSERT_FALSE(run.mid_event) << i << " " << j;
    }
  }
}

TEST(UpstreamFaults, U_14_ACutBetweenCrAndLfMakesNoEmptyEvent) {
  const std::string text = "data: a\r\n\r\ndata: b\r\n\r\n";
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    EXPECT_EQ(Decode(text, {cut}).events.size(), 2u) << cut;
    every.push_back(cut);
  }
  EXPECT_EQ(Decode(text, every).events.size(), 2u);
  EXPECT_FALSE(Decode(text, every).mid_event) << "the last LF alone is no event";
}

TEST(UpstreamFaults, U_14_RandomStreamsInRandomPieces) {
  Prng prng(99);
  static constexpr const char* kPieces[] = {"data: ",
                                            "data:",
                                            "data",
                                            "event: e",
                                            ": c",
                                            "id: 1",
                                            "x",
                                            "\n",
                                            "\n",
                                            "\r\n",
                                            "\r",
                                            "\n\n",
                                            "{\"a\":1}",
                                            "[DONE]",
                                            "\xEF\xBB\xBF",
                                            " ",
                                            "a long run of bytes that crosses a vector"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::uint64_t n = prng.Below(30); n != 0; --n) text += kPieces[prng.Below(17)];
    std::vector<std::size_t> cuts;
    for (std::size_t at = 0; (at += prng.Below(20)) < text.size();) cuts.push_back(at);
    const Decoded run = Decode(text, cuts);
    std::vector<Seen> got = WithData(run.events);
    std::vector<Seen> expected = Reference(text);
    // A CR at the very end closes a line at once; the reference does the same.
    ASSERT_EQ(got, expected) << testing::PrintToString(text);
    ASSERT_EQ(run.raw, text);
  }
}

TEST(UpstreamFaults, U_15_EndlessLineIsCutAtTheLimit) {
  for (const std::size_t piece : {1u, 7u, 64u, 1000u}) {
    SseDecoder decoder(1000);
    const std::string bytes(piece, 'x');
    SseEvent event;
    std::size_t fed = 0;
    Step step = Step::kNeedMore;
    while (step == Step::kNeedMore && fed < 5000) {
      decoder.Feed(bytes);
      step = decoder.Next(event);
      fed += piece;
    }
    EXPECT_EQ(step, Step::kTooLong) << piece;
    EXPECT_LE(fed, 1000 + piece) << piece;
    EXPECT_EQ(decoder.Next(event), Step::kTooLong) << "and stays so";
  }
}

TEST(UpstreamFaults, U_15_TheLimitIsOfOneEventHoweverItIsCut) {
  const std::string fits = "data: " + std::string(92, 'x') + "\n\n";
  const std::string over = "data: " + std::string(93, 'x') + "\n\n";
  ASSERT_EQ(fits.size(), 100u);
  for (const std::string& line_end : {std::string("\n\n"), std::string("\r\n\r\n")}) {
    for (const int extra : {0, 1}) {
      const std::string event =
          "data: " + std::string(94 + static_cast<std::size_t>(extra) - line_end.size(), 'x') + line_end;
      const std::string text = fits + event + "data: z\n\n";
      for (std::size_t cut = 0; cut < text.size(); ++cut) {
        // Cut between the last CR and LF, the event is over at the CR and the LF is the next one's.
        if (text.substr(cut - std::min(cut, std::size_t{1}), 2) == "\r\n" && cut + 1 == fits.size() + event.size())
          continue;
        EXPECT_EQ(Decode(text, {cut}, 100).too_long, extra == 1) << cut;
      }
    }
  }
  std::string lines;
  while (lines.size() <= 200) lines += "data: x\n";
  EXPECT_TRUE(Decode(lines, {}, 100).too_long) << "many short lines make one event too";
  EXPECT_TRUE(Decode(over, {}, 100).too_long);
}

TEST(SseDecoder, KnowsWhetherAStreamEndedInsideAnEvent) {
  const struct {
    std::string_view text;
    bool mid_event;
    std::optional<std::string_view> finish;  ///< what Finish hands out
  } rows[] = {
      {"data: a\n\n", false, {}},
      {"data: a\n\ndata: b", true, "b"},
      {"data: a\n\ndata: [DONE]\n", true, "[DONE]"},
      {"data: a\n\nd", true, {}},
      {"data: a\n\n: ping\n", true, {}},
      {"data: a\r\n\r\n", false, {}},
      {"", false, {}},
  };
  for (const auto& row : rows) {
    for (std::size_t cut = 0; cut <= row.text.size(); ++cut) {
      SseDecoder decoder;
      SseEvent event;
      for (const std::string_view piece : {row.text.substr(0, cut), row.text.substr(cut)}) {
        decoder.Feed(piece);
        while (decoder.Next(event) == Step::kEvent) {}
      }
      EXPECT_EQ(decoder.mid_event(), row.mid_event) << row.text << " " << cut;
      EXPECT_EQ(decoder.Finish(event), row.finish.has_value()) << row.text << " " << cut;
      if (row.finish) {
        EXPECT_EQ(event.data, *row.finish);
      }
    }
  }
}

TEST(SseDecoder, AResetDecoderKnowsNothingOfTheStreamBefore) {
  SseDecoder decoder;
  SseEvent event;
  decoder.Feed("data: a\r\rdata: half");
  EXPECT_EQ(decoder.Next(event), Step::kEvent);
  EXPECT_EQ(decoder.Next(event), Step::kNeedMore);
  decoder.Reset();
  decoder.Feed(
      "\xEF\xBB\xBF"
      "data: b\n\n");
  ASSERT_EQ(decoder.Next(event), Step::kEvent);
  EXPECT_EQ(event.data, "b");
  EXPECT_EQ(decoder.consumed(), event.raw.size());
}

}  // namespace
}  // namespace penstock::llm
