#include "penstock/llm/replay.hpp"

#include <gtest/gtest.h>

#include <string>

#include "penstock/base/prng.hpp"

namespace penstock::llm {
namespace {

constexpr std::string_view kContent =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n";
constexpr std::string_view kUsage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

UsageFinder Find(Family family, std::string_view events, std::size_t piece_bytes) {
  JsonParser parser(1);
  SseDecoder decoder;
  StreamTap tap(family);
  UsageFinder finder;
  SseEvent event;
  while (!events.empty()) {
    decoder.Feed(events.substr(0, piece_bytes));
    while (decoder.Next(event) == SseDecoder::Step::kEvent) finder.Note(event, tap.Look(event, parser));
    events.remove_prefix(std::min(piece_bytes, events.size()));
  }
  return finder;
}

std::string Replay(std::string_view events, UsageEvent usage, bool include_usage) {
  const ReplayPieces pieces = ReplayEvents(events, usage, include_usage);
  EXPECT_EQ(pieces.size(), pieces.pieces[0].size() + pieces.pieces[1].size());
  return std::string(pieces.pieces[0]) + std::string(pieces.pieces[1]);
}

TEST(CacheFaults, K_06_AReplayHasUsageForThoseWhoAskedOnly) {
  const std::string content(kContent), usage(kUsage), done(kDone);
  const struct {
    const char* what;
    std::string events, without;
  } rows[] = {
      {"at the end", content + usage + done, content + done},
      {"a comment before it stays", content + ": ping\n\n" + usage + done, content + ": ping\n\n" + done},
      {"two in a row", content + usage + usage + done, content + done},
      {"without [DONE]", content + usage, content},
      {"none", content + done, content + done},
      {"usage beside text stays",
       "data: {\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n" + done,
       "data: {\"choices\":[{\"index\":0,\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\n" + done},
      {"filter results stay", "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n" + content + usage + done,
       "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n" + content + done},
  };
  for (const auto& row : rows) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, row.events.size()}) {
      const UsageFinder finder = Find(Family::kChat, row.events, piece);
      EXPECT_TRUE(finder.replayable()) << row.what;
      EXPECT_EQ(Replay(row.events, finder.found(), true), row.events) << row.what;
      EXPECT_EQ(Replay(row.events, finder.found(), false), row.without) << row.what;
    }
  }
}

TEST(CacheFaults, K_06_UsageInTwoPlacesIsNotStored) {
  const std::string events = std::string(kUsage) + std::string(kContent) + std::string(kUsage) + std::string(kDone);
  EXPECT_FALSE(Find(Family::kChat, events, events.size()).replayable());
  UsageFinder far;
  SseEvent event;
  event.raw = kUsage;
  Sighting sighting;
  event.raw = std::string_view(kUsage.data(), std::size_t{1} << 32);  // never read
  far.Note(event, sighting);
  EXPECT_TRUE(far.replayable());
  event.raw = kUsage;
  sighting.usage_only = true;
  far.Note(event, sighting);
  EXPECT_FALSE(far.replayable());
}

TEST(Replay, APlaceOutsideTheBytesIsNone) {
  for (const UsageEvent usage : {UsageEvent{11, 0}, UsageEvent{10, 1}, UsageEvent{0, 11},
                                 UsageEvent{0xffffffff, 0xffffffff}, UsageEvent{5, 0xfffffffc}}) {
    EXPECT_EQ(Replay("0123456789", usage, false), "0123456789");
  }
  EXPECT_EQ(Replay("0123456789", {10, 0}, false), "0123456789");
  EXPECT_EQ(Replay("0123456789", {9, 1}, false), "012345678");
  EXPECT_EQ(Replay("0123456789", {0, 10}, false), "");
}

TEST(Replay, LineEndsOfEveryKindStayEvents) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string events;
    for (std::string_view event : {kContent, kUsage, kDone}) {
      event.remove_suffix(2);
      events += std::string(event) + end + end;
    }
    for (std::size_t piece = 1; piece <= events.size(); ++piece) {
      const std::string without = Replay(events, Find(Family::kChat, events, piece).found(), false);
      JsonParser parser(1);
      SseDecoder decoder;
      StreamTap tap(Family::kChat);
      SseEvent event;
      std::size_t said = 0;
      decoder.Feed(without);
      while (decoder.Next(event) == SseDecoder::Step::kEvent) {
        const Sighting sighting = tap.Look(event, parser);
        said += event.has_data ? 1 : 0;
        EXPECT_FALSE(sighting.usage_only);
      }
      EXPECT_EQ(said, 2u) << piece;
      EXPECT_TRUE(tap.storable() && tap.done_seen()) << piece;
    }
  }
}

}  // namespace
}  // namespace penstock::llm
