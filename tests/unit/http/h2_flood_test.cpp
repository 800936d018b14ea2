// Rows H2-01 to H2-24 of the fault catalogue: what a hostile client does to a server codec, frame by frame.
#include <gtest/gtest.h>

#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

using namespace test;  // frame names

struct Server final : H2End {
  explicit Server(const H2Limits& limits = {}) : H2End(H2Codec::Side::kServer, limits) {}
  void Greet() {
    ASSERT_TRUE(Exchange(ClientPreface()));
    ASSERT_TRUE(Exchange(SettingsAck()));
  }
  std::string_view reason() const { return codec->killed_reason() == nullptr ? "" : codec->killed_reason(); }
  /// Sends unit(i) again and again, draining after each. Returns how many were taken before the connection ended.
  template <class Unit>
  int Flood(int times, Unit unit) {
    for (int i = 0; i < times; ++i) {
      if (!Exchange(unit(i))) return i;
    }
    return times;
  }
};

std::uint32_t Id(int i) { return static_cast<std::uint32_t>(2 * i + 1); }

TEST(H2Faults, H2_01_RapidResetInOneWrite) {
  Server server;
  std::string attack = ClientPreface();
  for (int i = 0; i < 5000; ++i) attack += HeadersFrame(Id(i), RequestBlock()) + RstFrame(Id(i), 8);
  EXPECT_FALSE(server.Feed(attack));
  EXPECT_TRUE(server.codec->wants_write());
  server.Drain();
  const auto frames = server.SentFrames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].type, h2::kSettings) << "our preface comes first even now";
  EXPECT_EQ(frames[1].payload.size(), 8u);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "rapid_reset");
  EXPECT_LE(server.requests, 200);
  EXPECT_EQ(server.ClosedStreams(), static_cast<std::size_t>(server.requests)) << "every one was cancelled";
  EXPECT_EQ(server.codec->open_streams(), 0u);
}

TEST(H2Faults, H2_01_ResetsAfterTheResponseDrawOnTheBucket) {
  Server server;
  server.Greet();
  server.respond = true;
  server.response_body = "token";
  server.response_last = BodyState::kMore;
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(server.Exchange(HeadersFrame(Id(i), RequestBlock())));
  server.Advance(std::chrono::seconds(5));
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(server.Exchange(RstFrame(Id(i), 8))) << "used, then cancelled";
  int taken = 40;
  while (taken < 1000 && server.Exchange(RstFrame(1, 8))) ++taken;  // resets of nothing
  EXPECT_EQ(taken, 200);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "rapid_reset");
}

TEST(H2Faults, H2_02_PacedResetsFallToTheRatioRule) {
  Server server;
  server.Greet();
  const int taken = server.Flood(30 * 600, [&](int i) {
    server.Advance(std::chrono::microseconds(33'400));
    return HeadersFrame(Id(i), RequestBlock()) + RstFrame(Id(i), 8);
  });
  EXPECT_EQ(taken, 99);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "rapid_reset");
}

TEST(H2Faults, H2_02_TheRatioIsOverTheLastThousandStreams) {
  Server server;
  server.Greet();
  server.respond = true;
  int i = 0;
  const auto good = [&] { return server.Exchange(HeadersFrame(Id(i++), RequestBlock())); };
  const auto bad = [&] {
    server.Advance(std::chrono::seconds(1));  // the bucket is not what this is about
    const bool alive = server.Exchange(HeadersFrame(Id(i), RequestBlock(), false) + RstFrame(Id(i), 8));
    ++i;
    return alive;
  };
  for (int n = 0; n < 3000; ++n) ASSERT_TRUE(good());
  int resets = 0;
  while (resets < 2000 && bad()) ++resets;
  EXPECT_EQ(resets, 499) << "half of the last 1,000; the 2,000 good ones before them do not count";
}

TEST(H2Faults, H2_03_UsersWhoCancelStreamsTheyReadAreNotKilled) {
  Server server;
  server.Greet();
  server.respond = true;
  server.response_body = "token";
  server.response_last = BodyState::kMore;
  for (int i = 0; i < 20 * 1800; ++i) {
    server.Advance(std::chrono::milliseconds(50));
    // 20 streams a second, each cancelled after 4.95 s: 99 open at any time.
    std::string step = i >= 99 ? RstFrame(Id(i - 99), 8) : "";
    step += HeadersFrame(Id(i), RequestBlock());
    ASSERT_TRUE(server.Feed(step)) << i << ' ' << server.reason();
    Chain out(server.chunks);
    ASSERT_TRUE(server.codec->Pull(out, 4096)) << i << ' ' << server.reason();
    server.streams.erase(i - 200);
  }
  EXPECT_EQ(server.reason(), "");
  EXPECT_EQ(server.codec->open_streams(), 99u);
}

TEST(H2Faults, H2_04_MadeYouResetByWindowOverflow) {
  Server server;
  server.Greet();
  const int taken = server.Flood(
      20'000, [](int i) { return HeadersFrame(Id(i), RequestBlock()) + WindowUpdateFrame(Id(i), 0x7fffffff); });
  EXPECT_EQ(taken, 100);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "made_you_reset");
  EXPECT_LE(OfType(server.SentFrames(), h2::kRst).size(), 100u);
  EXPECT_EQ(server.SentReset(1), 3);
  EXPECT_EQ(server.ClosedStreams(), static_cast<std::size_t>(server.requests));
}

TEST(H2Faults, H2_04_ResetsOfOurOwnDoNotCount) {
  Server server;
  server.Greet();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(server.Exchange(HeadersFrame(Id(i), RequestBlock())));
    server.codec->Reset(2 * i + 1, H2Error::kInternalError);
    server.Drain();
  }
  EXPECT_TRUE(server.alive);
  EXPECT_EQ(server.SentReset(Id(999)), 2);
}

TEST(H2Faults, H2_05_MadeYouResetByBodyBeyondContentLength) {
  Server server;
  server.Greet();
  const std::string block = RequestBlock() + Literal("content-length", "5");
  const int taken =
      server.Flood(20'000, [&](int i) { return HeadersFrame(Id(i), block, false) + DataFrame(Id(i), "123456", true); });
  EXPECT_EQ(taken, 100);
  EXPECT_EQ(server.SentGoaway(), 11);
  for (const auto& [id, stream] : server.streams)
    EXPECT_FALSE(stream->ended) << "an incomplete body is never dispatched";
  EXPECT_EQ(server.SentReset(1), 1);
}

struct Malformed {
  const char* name;
  std::string block;
};
class H2Malformed : public testing::TestWithParam<Malformed> {};

TEST_P(H2Malformed, IsResetAndDrawsOnTheBudget) {
  Server server;
  server.Greet();
  const int taken = server.Flood(20'000, [&](int i) { return HeadersFrame(Id(i), GetParam().block); });
  EXPECT_EQ(taken, 100);
  EXPECT_EQ(server.SentReset(1), 1);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.requests, 0);
  EXPECT_TRUE(server.streams.empty());
}

std::string NoAuthority(std::string_view path) {
  return Literal(":method", "GET") + Literal(":scheme", "https") + Literal(":path", path);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, H2Malformed,
    testing::Values(Malformed{"H2_06_UppercaseName", RequestBlock() + Literal("X-Upper", "1")},
                    Malformed{"H2_06_UnknownPseudo", RequestBlock() + Literal(":unknown", "1")},
                    Malformed{"H2_06_StatusInARequest", RequestBlock() + Literal(":status", "200")},
                    Malformed{"H2_21_EmptyName", RequestBlock() + Literal("", "1")},
                    Malformed{"H2_34_Connection", RequestBlock() + Literal("connection", "close")},
                    Malformed{"H2_34_KeepAlive", RequestBlock() + Literal("keep-alive", "1")},
                    Malformed{"H2_34_ProxyConnection", RequestBlock() + Literal("proxy-connection", "close")},
                    Malformed{"H2_34_TransferEncoding", RequestBlock() + Literal("transfer-encoding", "chunked")},
                    Malformed{"H2_34_Upgrade", RequestBlock() + Literal("upgrade", "websocket")},
                    Malformed{"H2_34_Te", RequestBlock() + Literal("te", "gzip")},
                    Malformed{"H2_35_ContentLengthWithEndStream", RequestBlock() + Literal("content-length", "5")},
                    Malformed{"H2_36_NulInAuthority", RequestBlock("GET", "/", std::string_view("a\0b", 3))},
                    Malformed{"H2_37_TwoPaths", RequestBlock() + Literal(":path", "/other")},
                    Malformed{"H2_37_PathWithoutSlash", RequestBlock("GET", "v1/models")},
                    Malformed{"H2_37_EmptyPath", RequestBlock("GET", "")},
                    Malformed{"H2_37_MethodWithSpace", RequestBlock("GE T")},
                    Malformed{"H2_37_PseudoAfterRegular",
                              NoAuthority("/") + Literal("x-a", "1") + Literal(":authority", "a")},
                    Malformed{"H2_37_TwoContentLengths",
                              RequestBlock() + Literal("content-length", "0") + Literal("content-length", "0")},
                    Malformed{"H2_37_NeitherAuthorityNorHost", NoAuthority("/")},
                    Malformed{"H2_38_CrInValue", RequestBlock() + Literal("x-a", "1\rx")},
                    Malformed{"H2_38_LfInValue", RequestBlock() + Literal("x-a", "1\nx")},
                    Malformed{"H2_38_NulInValue", RequestBlock() + Literal("x-a", std::string_view("1\0x", 3))},
                    Malformed{"H2_38_CrLfInPath", RequestBlock("GET", "/ HTTP/1.1\r\nhost: evil")},
                    Malformed{"H2_38_ColonInName", RequestBlock() + Literal("x:a", "1")},
                    Malformed{"H2_38_SpaceInName", RequestBlock() + Literal("x a", "1")}),
    [](const auto& row) { return row.param.name; });

TEST(H2Faults, H2_34_TeTrailersIsAllowed) {
  Server server;
  server.Greet();
  EXPECT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() + Literal("te", "trailers"))));
  EXPECT_EQ(server.requests, 1);
}

struct ConnectionError {
  const char* name;
  std::string frames;  ///< after an open request on stream 1 that has ended its side
  std::int64_t code;
};
class H2ConnectionError : public testing::TestWithParam<ConnectionError> {};

TEST_P(H2ConnectionError, EndsTheConnectionAndCancelsWhatIsOpen) {
  Server server;
  server.Greet();
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock())));
  EXPECT_FALSE(server.Exchange(GetParam().frames));
  EXPECT_EQ(server.SentGoaway(), GetParam().code);
  EXPECT_EQ(server.streams.at(1)->closed_times, 1);
  EXPECT_NE(server.reason(), "");
  EXPECT_EQ(server.requests, 1);
  // H2-40: the peer goes on regardless.
  EXPECT_FALSE(server.Feed(HeadersFrame(99, RequestBlock())));
  EXPECT_EQ(server.Drain(), "");
  EXPECT_EQ(server.requests, 1);
}

std::string Settings33() {
  return SettingsFrame(std::vector<std::pair<std::uint16_t, std::uint32_t>>(33, {h2::kInitialWindowSize, 65535}));
}

INSTANTIATE_TEST_SUITE_P(
    Rows, H2ConnectionError,
    testing::Values(
        ConnectionError{"H2_07_WindowUpdateZero", WindowUpdateFrame(1, 0), 1},
        ConnectionError{"H2_07_PriorityOfThreeBytes", Frame(h2::kPriority, 0, 1, "abc"), 6},
        ConnectionError{"H2_07_PriorityOnItself", PriorityFrame(1, 1), 1},
        ConnectionError{"H2_07_HeadersAfterEndStream", HeadersFrame(1, Literal("x", "y")), 5},
        ConnectionError{"H2_07_DataAfterEndStream", DataFrame(1, "x", true), 5},
        ConnectionError{"H2_14_TooManySettings", Settings33(), 11},
        ConnectionError{"H2_28_BadIndex", HeadersFrame(3, Indexed(200)), 9},
        ConnectionError{"H2_28_IndexZero", HeadersFrame(3, "\x80"), 9},
        ConnectionError{"H2_28_TableSizeAboveTheLimit", HeadersFrame(3, HpackInteger(0x20, 5, 4097)), 9},
        ConnectionError{"H2_28_BadHuffmanPadding", HeadersFrame(3, std::string("\x10\x81\x00\x00", 4)), 9},
        ConnectionError{"H2_28_IntegerOverflow", HeadersFrame(3, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), 9},
        ConnectionError{"H2_28_TornBlock", HeadersFrame(3, "\x40\x05x"), 9},
        ConnectionError{"H2_30_EvenStreamId", HeadersFrame(4, RequestBlock()), 1},
        ConnectionError{"H2_30_StreamZero", HeadersFrame(0, RequestBlock()), 1},
        ConnectionError{"H2_31_PushPromise", Frame(h2::kPushPromise, h2::kEndHeaders, 1, BigEndian(2, 4)), 1},
        ConnectionError{"H2_31_ContinuationAlone", ContinuationFrame(1, "", true), 1},
        ConnectionError{"H2_31_OtherFrameInAHeaderBlock", Frame(h2::kHeaders, 0, 3, RequestBlock()) + PingFrame(), 1},
        ConnectionError{"H2_31_DataOnAnIdleStream", DataFrame(5, "x", false), 1},
        ConnectionError{"H2_31_ResetOfAnIdleStream", RstFrame(5, 8), 1},
        ConnectionError{"H2_31_WindowUpdateOfAnIdleStream", WindowUpdateFrame(5, 1), 1},
        ConnectionError{"H2_31_FrameTooLarge", DataFrame(1, std::string(16385, 'x'), false), 6},
        ConnectionError{"H2_31_ConnectionWindowOverflow", WindowUpdateFrame(0, 0x7fffffff), 3},
        ConnectionError{"H2_31_SettingsAckWithPayload", Frame(h2::kSettings, h2::kAck, 0, std::string(6, 'x')), 6},
        ConnectionError{"H2_31_UnaskedSettingsAck", SettingsAck(), 1},
        ConnectionError{"H2_31_PingOfSevenBytes", Frame(h2::kPing, 0, 0, "1234567"), 6},
        ConnectionError{"H2_31_PaddingBeyondTheFrame", Frame(h2::kHeaders, h2::kPadded | h2::kEndHeaders, 3, "\x7fx"),
                        1}),
    [](const auto& row) { return row.param.name; });

TEST(H2Faults, H2_08_EightContinuationsAreEnough) {
  const std::string block = RequestBlock();
  const auto request = [&](int continuations) {
    std::string frames = Frame(h2::kHeaders, h2::kEndStream, 1, block.substr(0, 2));
    for (int i = 1; i <= continuations; ++i) {
      const bool last = i == continuations;
      const auto at = 2 * static_cast<std::size_t>(i);
      frames += ContinuationFrame(1, last ? block.substr(at) : block.substr(at, 2), last);
    }
    return frames;
  };
  Server eight;
  eight.Greet();
  EXPECT_TRUE(eight.Exchange(request(8)));
  EXPECT_EQ(eight.requests, 1);
  Server nine;
  nine.Greet();
  EXPECT_FALSE(nine.Exchange(request(9)));
  EXPECT_EQ(nine.SentGoaway(), 11);
  EXPECT_EQ(nine.reason(), "too_many_continuations");
  EXPECT_EQ(nine.requests, 0);
}

TEST(H2Faults, H2_10_EmptyFrames) {
  struct Row {
    const char* what;
    std::string frame;
  };
  for (const Row& row : {Row{"DATA", DataFrame(1, "", false)},
                         Row{"padded DATA", Frame(h2::kData, h2::kPadded, 1, std::string(1, '\0'))},
                         Row{"CONTINUATION", ContinuationFrame(3, "", false)}}) {
    Server server;
    server.Greet();
    ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock(), false)));
    if (row.what == std::string_view("CONTINUATION")) server.Feed(Frame(h2::kHeaders, 0, 3, RequestBlock()));
    const int taken = server.Flood(500'000, [&](int) { return row.frame; });
    if (row.what == std::string_view("padded DATA")) {
      EXPECT_EQ(taken, 500'000) << "not empty: the bytes rule bounds it";
      continue;
    }
    EXPECT_LE(taken, 10) << row.what;
    EXPECT_EQ(server.SentGoaway(), 11) << row.what;
  }
}

TEST(H2Faults, H2_10_EmptyHeaders) {
  Server server;
  server.Greet();
  const int taken = server.Flood(1000, [](int i) { return Frame(h2::kHeaders, h2::kEndHeaders, Id(i)); });
  EXPECT_EQ(taken, 10);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "empty_frames");
}

TEST(H2Faults, H2_10_AnEmptyLastDataFrameIsOrdinary) {
  Server server;
  server.Greet();
  server.respond = true;
  const int taken =
      server.Flood(1000, [](int i) { return HeadersFrame(Id(i), RequestBlock(), false) + DataFrame(Id(i), "", true); });
  EXPECT_EQ(taken, 1000);
}

TEST(H2Faults, H2_11_PingsThatAreRead) {
  Server server;
  server.Greet();
  EXPECT_EQ(server.Flood(200'000, [](int) { return PingFrame(); }), 20);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "too_many_pings");
  EXPECT_EQ(OfType(server.SentFrames(), h2::kPing).size(), 20u);
}

TEST(H2Faults, H2_11_OnePingASecondIsFine) {
  Server server;
  server.Greet();
  EXPECT_EQ(server.Flood(3600,
                         [&](int) {
                           server.Advance(std::chrono::seconds(1));
                           return PingFrame();
                         }),
            3600);
}

TEST(H2Faults, H2_11_UnaskedPingAcks) {
  Server server;
  server.Greet();
  EXPECT_EQ(server.Flood(1000, [](int) { return PingFrame(true); }), 20);
  EXPECT_EQ(server.reason(), "too_many_pings");
  EXPECT_EQ(server.ping_acks, 0);
}

TEST(H2Faults, H2_12_PingsThatAreNotRead) {
  H2Limits limits;
  limits.pings = {1e9, 1e9};  // leave it to the queue
  Server server(limits);
  server.Greet();
  int pings = 0;
  while (pings < 200'000 && server.Feed(PingFrame())) ++pings;
  EXPECT_EQ(pings, 1000);
  server.Drain();
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "output_flood");
}

TEST(H2Faults, H2_13_SettingsFlood) {
  for (const bool read : {true, false}) {
    Server server;
    server.Greet();  // takes the first of the 20
    int taken = 1;
    while (taken < 1000 && (read ? server.Exchange(SettingsFrame()) : server.Feed(SettingsFrame()))) ++taken;
    server.Drain();
    EXPECT_EQ(taken, 20);
    EXPECT_EQ(server.SentGoaway(), 11);
    EXPECT_EQ(server.reason(), "too_many_settings");
  }
}

TEST(H2Faults, H2_14_ThirtyTwoSettingsAreAccepted) {
  Server server;
  server.Greet();
  EXPECT_TRUE(server.Exchange(
      SettingsFrame(std::vector<std::pair<std::uint16_t, std::uint32_t>>(32, {h2::kInitialWindowSize, 65535}))));
}

TEST(H2Faults, H2_15_WindowSizeFlips) {
  Server server;
  server.Greet();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(server.Exchange(HeadersFrame(Id(i), RequestBlock())));
  const int taken = server.Flood(10'000, [](int i) {
    return SettingsFrame({{h2::kInitialWindowSize, i % 2 == 0 ? 0u : 0x7fffffffu}});
  });
  EXPECT_EQ(taken, 19);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.ClosedStreams(), 100u);
}

TEST(H2Faults, H2_15_EveryDecreaseIsAGlitch) {
  H2Limits limits;
  limits.glitches = {10, 0};
  Server server(limits);
  server.Greet();
  const int taken = server.Flood(10'000, [&](int i) {
    server.Advance(std::chrono::seconds(1));  // the SETTINGS bucket never empties
    return SettingsFrame({{h2::kInitialWindowSize, i % 2 == 0 ? 0u : 65535u}});
  });
  EXPECT_EQ(taken, 20);
  EXPECT_EQ(server.reason(), "glitches");
}

TEST(H2Faults, H2_16_PriorityFlood) {
  Server server;
  server.Greet();
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock())));
  const int taken = server.Flood(500'000, [](int i) { return PriorityFrame(Id(i % 50), i % 50 == 0 ? 3 : 1); });
  EXPECT_EQ(taken, 200) << "100 x (1 + streams)";
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "priority_flood");
}

TEST(H2Faults, H2_17_WindowUpdateFlood) {
  Server server;
  server.Greet();
  server.respond = true;
  server.response_body = "x";
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock())));
  EXPECT_EQ(server.Flood(500'000, [](int) { return WindowUpdateFrame(0, 1); }), 5 + 2 * (1 + 10 * 1));
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "window_update_flood");
}

TEST(H2Faults, H2_18_UnknownFrames) {
  Server server;
  server.Greet();
  const std::string frame = Frame(0xbe, 0, 0, std::string(64, 'j'));
  std::string batch;
  for (int i = 0; i < 200; ++i) batch += frame;
  std::size_t fed = 0;
  while (fed < 64'000'000 && server.Exchange(batch)) fed += batch.size();
  EXPECT_GT(fed, 8'000'000u) << "they are ignored as RFC 9113 demands";
  EXPECT_LT(fed, 9'000'000u);
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(server.reason(), "junk_bytes");
}

TEST(H2Faults, H2_19_PaddedData) {
  Server server;
  server.Greet();
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock(), false)));
  std::string padded = Frame(h2::kData, h2::kPadded, 1, '\xff' + std::string(255, '\0'));
  const int taken = server.Flood(100'000, [&](int) { return padded; });
  EXPECT_GT(taken, 20'000) << "five times the connection's window: the credit came back";
  EXPECT_LT(taken, 40'000) << "padding is no payload";
  EXPECT_EQ(server.reason(), "junk_bytes");
}

TEST(H2Faults, H2_20_BodyInOneByteFrames) {
  H2End server(H2Codec::Side::kServer, {}, 1 << 20);
  ASSERT_TRUE(server.Exchange(ClientPreface()));
  ASSERT_TRUE(server.Exchange(SettingsAck() + HeadersFrame(1, RequestBlock(), false)));
  std::string batch;
  for (int i = 0; i < 1000; ++i) batch += DataFrame(1, "x", false);
  ASSERT_TRUE(server.Exchange(batch));
  const std::uint64_t allocations = server.memory.system_allocations();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(server.Exchange(batch));
  EXPECT_EQ(server.streams.at(1)->body.size(), 101'000u);
  EXPECT_EQ(server.memory.system_allocations(), allocations) << "no allocation per frame";
}

TEST(H2Faults, H2_23_AClosedWindowStopsThePulling) {
  Server server;
  ASSERT_TRUE(server.Exchange(ClientMagic() + SettingsFrame({{h2::kInitialWindowSize, 0}})));
  server.respond = true;
  server.response_body.assign(1'000'000, 'x');
  ASSERT_TRUE(server.Exchange(SettingsAck() + HeadersFrame(1, RequestBlock())));
  EXPECT_EQ(server.streams.at(1)->pulls, 0);
  EXPECT_FALSE(server.codec->wants_write());
  ASSERT_TRUE(server.Exchange(WindowUpdateFrame(1, 10)));
  EXPECT_EQ(server.streams.at(1)->pulls, 1);
  EXPECT_EQ(OfType(server.SentFrames(), h2::kData).size(), 1u);
}

}  // namespace
}  // namespace penstock::http
