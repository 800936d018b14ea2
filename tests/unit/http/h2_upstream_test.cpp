// Row H2-42 of the fault catalogue: the same set from a hostile backend, against the client codec.
#include <gtest/gtest.h>

#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

using namespace test;  // frame names

struct Client final : H2End {
  Client() : H2End(H2Codec::Side::kClient, H2Limits::ForClient()) {
    Drain();
    Exchange(SettingsFrame() + SettingsAck());
  }
  /// An open call whose request has been sent.
  RecordedStream& Call() {
    RecordedStream& call = Request(PostHead());
    Drain();
    return call;
  }
};

std::string Ok(std::uint32_t stream, bool end) { return HeadersFrame(stream, Literal(":status", "200"), end); }

struct Flood {
  const char* name;
  std::string frame;  ///< sent again and again; a call waits on stream 1
  int at_most;        ///< this many are taken
  std::int64_t goaway;
};
class H2UpstreamFlood : public testing::TestWithParam<Flood> {};

TEST_P(H2UpstreamFlood, EndsTheConnectionAndTellsItsStreams) {
  Client client;
  RecordedStream& call = client.Call();
  RecordedStream& waiting = client.Call();
  ASSERT_TRUE(client.Exchange(Ok(1, false)));
  int taken = 0;
  while (taken < 100'000 && client.Exchange(GetParam().frame)) ++taken;
  EXPECT_LE(taken, GetParam().at_most);
  EXPECT_EQ(client.SentGoaway(), GetParam().goaway);
  EXPECT_EQ(call.closed_times, 1);
  EXPECT_EQ(waiting.closed_times, 1);
  EXPECT_FALSE(waiting.unprocessed) << "it may have been acted on";
  EXPECT_NE(client.codec->killed_reason(), nullptr);
  EXPECT_LT(client.codec->SubmitRequest(PostHead(), true, call), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, H2UpstreamFlood,
    testing::Values(
        Flood{"H2_42_Ping", PingFrame(), 100, 11},         //
        Flood{"H2_42_PingAck", PingFrame(true), 100, 11},  //
        Flood{"H2_42_Settings", SettingsFrame(), 20, 11},  //
        Flood{"H2_42_WindowUpdate", WindowUpdateFrame(0, 1), 10, 11},
        Flood{"H2_42_EmptyData", DataFrame(1, "", false), 10, 11}, Flood{"H2_42_Reset", RstFrame(1, 8), 1000, 11},
        Flood{"H2_42_Priority", PriorityFrame(3, 1), 301, 11},
        Flood{"H2_42_UnknownFrames", Frame(0xbe, 0, 0, std::string(8000, 'j')), 1100, 11},
        Flood{"H2_42_Goaway", GoawayFrame(3, 0), 1001, 11},
        Flood{"H2_42_PushPromise", Frame(h2::kPushPromise, h2::kEndHeaders, 1, BigEndian(2, 4) + RequestBlock()), 0, 1},
        Flood{"H2_42_DataOnIdle", DataFrame(9, "x", false), 0, 1}, Flood{"H2_42_HeadersOnIdle", Ok(9, false), 0, 1},
        Flood{"H2_42_BadIndex", HeadersFrame(3, Indexed(200)), 0, 9}),
    [](const auto& row) { return row.param.name; });

struct BadHead {
  const char* name;
  std::string block;
  std::int64_t reset;
};
class H2UpstreamHead : public testing::TestWithParam<BadHead> {};

TEST_P(H2UpstreamHead, ResetsItsStreamOnly) {
  Client client;
  RecordedStream& good = client.Call();
  RecordedStream& bad = client.Call();
  std::string frames;
  std::string_view block = GetParam().block;
  do {
    const std::string_view part = block.substr(0, 16384);
    block.remove_prefix(part.size());
    frames += frames.empty() ? Frame(h2::kHeaders, block.empty() ? h2::kEndHeaders : h2::kNone, 3, part)
                             : ContinuationFrame(3, part, block.empty());
  } while (!block.empty());
  ASSERT_TRUE(client.Exchange(frames));
  EXPECT_EQ(client.SentReset(3), GetParam().reset);
  EXPECT_EQ(bad.head, nullptr);
  EXPECT_EQ(bad.closed, static_cast<H2Error>(GetParam().reset));
  EXPECT_FALSE(bad.unprocessed);
  EXPECT_TRUE(bad.malformed);
  ASSERT_TRUE(client.Exchange(Ok(1, false) + DataFrame(1, "fine", true)));
  EXPECT_EQ(good.body, "fine");
  EXPECT_TRUE(good.ended);
}

std::string Fields(int count) {
  std::string block = Literal(":status", "200");
  for (int i = 0; i < count; ++i) block += Literal("x-f", "1");
  return block;
}

INSTANTIATE_TEST_SUITE_P(
    Rows, H2UpstreamHead,
    testing::Values(
        BadHead{"H2_42_ZeroLengthHeader", Fields(0) + Literal("", "1"), 1},
        BadHead{"H2_42_Uppercase", Fields(0) + Literal("X-A", "1"), 1},
        BadHead{"H2_42_NoStatus", Literal("x-a", "1"), 1}, BadHead{"H2_42_BadStatus", Literal(":status", "2x0"), 1},
        BadHead{"H2_42_StatusBelow100", Literal(":status", "099"), 1},
        BadHead{"H2_42_SwitchingProtocols", Literal(":status", "101"), 1},
        BadHead{"H2_42_Connection", Fields(0) + Literal("connection", "close"), 1},
        BadHead{"H2_42_CrLfInValue", Fields(0) + Literal("x-a", "1\r\nset-cookie: a"), 1},
        BadHead{"H2_42_257Fields", Fields(257), 2},
        BadHead{"H2_42_HeadBeyond64KiB",
                Fields(0) + Literal("x", std::string(40'000, 'x')) + Literal("y", std::string(30'000, 'y')), 2},
        BadHead{"H2_42_HeaderBomb",
                Fields(0) + IndexedLiteral("x-bomb", std::string(3900, 'b')) + std::string(16'000, '\xbe'), 2}),
    [](const auto& row) { return row.param.name; });

TEST(H2Upstream, H2_42_ALargeButLawfulHeadIsTaken) {
  Client client;
  RecordedStream& call = client.Call();
  ASSERT_TRUE(client.Exchange(HeadersFrame(1, Fields(256))));
  EXPECT_EQ(call.head->size(), 256u);
}

TEST(H2Upstream, H2_42_EndlessInterimResponses) {
  Client client;
  RecordedStream& call = client.Call();
  int interim = 0;
  while (interim < 1000 && client.SentReset(1) < 0 &&
         client.Exchange(HeadersFrame(1, Literal(":status", "103"), false)))
    ++interim;
  EXPECT_EQ(interim, 17);
  EXPECT_EQ(client.SentReset(1), 11);
  EXPECT_EQ(call.closed, H2Error::kEnhanceYourCalm);
}

TEST(H2Upstream, H2_42_ABodyThatContradictsItsLength) {
  for (const bool longer : {false, true}) {
    Client client;
    RecordedStream& call = client.Call();
    ASSERT_TRUE(client.Exchange(HeadersFrame(1, Literal(":status", "200") + Literal("content-length", "5"), false) +
                                DataFrame(1, longer ? "123456" : "1234", true)));
    EXPECT_FALSE(call.ended) << "a truncated body never looks complete";
    EXPECT_EQ(call.closed, H2Error::kProtocolError);
    EXPECT_TRUE(call.malformed);
  }
}

TEST(H2Upstream, H2_42_ARefusalStormIsNotAnAttack) {
  Client client;
  for (int i = 0; i < 500; ++i) {
    RecordedStream& call = client.Call();
    ASSERT_TRUE(client.Exchange(RstFrame(static_cast<std::uint32_t>(call.id), 7)));
    EXPECT_TRUE(call.unprocessed);
  }
  EXPECT_EQ(client.codec->killed_reason(), nullptr);
}

TEST(H2Upstream, H2_42_AWindowUpdatePerDataFrameIsOrdinary) {
  Client client;
  RecordedStream& call = client.Request(PostHead(), std::string(60'000, 'x'));
  client.Drain();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(client.Exchange(WindowUpdateFrame(0, 1000) + WindowUpdateFrame(1, 1000)));
  }
  EXPECT_EQ(call.closed_times, 0);
}

TEST(H2Upstream, AnAnswerBeforeTheEndOfTheRequestAndThenNoErrorIsAProperEnd) {
  Client client;
  RecordedStream& call = client.Request(PostHead(), "x");
  call.last = BodyState::kMore;
  client.Drain();
  ASSERT_TRUE(client.Exchange(Ok(1, false) + DataFrame(1, "early", true) + RstFrame(1, 0)));
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.closed, H2Error::kNoError);
}

TEST(H2Upstream, TrailersEndABodyAndAreDropped) {
  Client client;
  RecordedStream& call = client.Call();
  ASSERT_TRUE(
      client.Exchange(Ok(1, false) + DataFrame(1, "body", false) + HeadersFrame(1, Literal("grpc-status", "0"))));
  EXPECT_TRUE(call.ended);
  EXPECT_EQ(call.head->size(), 0u);
}

TEST(H2Upstream, AGoawayWithNothingOpenEndsTheConnection) {
  Client client;
  EXPECT_FALSE(client.Exchange(GoawayFrame(0, 0)));
  EXPECT_EQ(client.goaway, H2Error::kNoError);
  EXPECT_EQ(client.codec->killed_reason(), nullptr);
}

TEST(H2Upstream, AnIncreasedLastIdIsAnError) {
  Client client;
  client.Call();
  client.Call();
  ASSERT_TRUE(client.Exchange(GoawayFrame(1, 0)));
  EXPECT_FALSE(client.Exchange(GoawayFrame(3, 0)));
  EXPECT_EQ(client.SentGoaway(), 1);
}

}  // namespace
}  // namespace penstock::http
