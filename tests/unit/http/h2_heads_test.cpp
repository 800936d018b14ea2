// Rows H2-25 to H2-40 of the fault catalogue: header blocks, stream ids and authorities, byte by byte.
#include <gtest/gtest.h>

#include <ctime>

#include "http/h2_head_builder.hpp"
#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

using namespace test;  // frame names

struct Server final : H2End {
  explicit Server(const H2Limits& limits = {}) : H2End(H2Codec::Side::kServer, limits, 1 << 20) {
    Exchange(ClientPreface());
    Exchange(SettingsAck());
  }
};

std::uint32_t Id(int i) { return static_cast<std::uint32_t>(2 * i + 1); }

/// A header block of any size as HEADERS and up to `continuations_max` CONTINUATION frames.
std::string LongHeaders(std::uint32_t stream, std::string_view block) {
  std::string frames;
  bool first = true;
  do {
    const std::string_view part = block.substr(0, 16384);
    block.remove_prefix(part.size());
    const auto flags = static_cast<std::uint8_t>((block.empty() ? h2::kEndHeaders : 0) | (first ? h2::kEndStream : 0));
    frames += Frame(first ? h2::kHeaders : h2::kContinuation, flags, stream, part);
    first = false;
  } while (!block.empty());
  return frames;
}

double CpuSeconds() {
  timespec ts{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
  return static_cast<double>(ts.tv_sec) + static_cast<double>(ts.tv_nsec) * 1e-9;
}

TEST(H2Faults, H2_25_HpackReferenceBomb) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() + IndexedLiteral("x-bomb", std::string(3900, 'b')))));
  EXPECT_EQ(server.requests, 1);
  const std::string bomb = RequestBlock() + std::string(16'000, '\xbe');  // index 62: 16,000 x 3,900 bytes
  const double begin = CpuSeconds();
  std::size_t fed = 0;
  int blocks = 0;
  for (; blocks < 500; ++blocks) {
    const std::string frames = LongHeaders(Id(blocks + 1), bomb);
    fed += frames.size();
    if (!server.Exchange(frames)) break;
  }
  const double cpu = CpuSeconds() - begin;
  EXPECT_EQ(blocks, 100) << "10 glitches each: a graceful GOAWAY at 750, the end at 1,000";
  EXPECT_STREQ(server.codec->killed_reason(), "glitches");
  EXPECT_EQ(server.SentReset(3), 2);
  EXPECT_EQ(server.requests, 1) << "no bomb was dispatched";
  EXPECT_EQ(server.streams.size(), 1u);
  // 0.03 s per MB in a release build (bench H2HpackBomb); the sanitizers may take ten times that.
  EXPECT_LT(cpu, 0.3 * static_cast<double>(fed) / 1e6 + 0.05);
}

TEST(H2Faults, H2_25_BetweenSoftAndHardLimitThereIsAnAnswer) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() + IndexedLiteral("x-bomb", std::string(3900, 'b')))));
  ASSERT_TRUE(server.Exchange(HeadersFrame(3, RequestBlock() + std::string(10, '\xbe'))));
  const RecordedStream& refused = *server.streams.at(3);
  EXPECT_STREQ(refused.reject_reason, "headers_too_large");
  EXPECT_EQ(refused.reject_code, ErrorCode::kHeadersTooLarge);
  EXPECT_EQ(refused.head->target(), "/v1/chat/completions");
  EXPECT_TRUE(refused.ended);
  EXPECT_LE(refused.head->list_bytes(), 32u * 1024);
  Head answer;
  answer.status = 431;
  server.codec->SubmitResponse(3, answer, true);
  server.Drain();
  EXPECT_EQ(refused.closed, H2Error::kNoError);
}

TEST(H2Faults, H2_26_CookieCrumbsCountOneByOne) {
  Server server;
  std::string crumbs = RequestBlock();
  for (int i = 0; i < 101; ++i) crumbs += Literal("cookie", "a=b");
  ASSERT_TRUE(server.Exchange(LongHeaders(1, crumbs)));
  EXPECT_STREQ(server.streams.at(1)->reject_reason, "headers_too_large");
  for (int i = 0; i < 5000; ++i) crumbs += Literal("cookie", "a=b");
  ASSERT_TRUE(server.Exchange(LongHeaders(3, crumbs)));
  EXPECT_EQ(server.SentReset(3), 2) << "32 bytes of overhead for each";
  // One 3,000-byte cookie referred to 12,000 times.
  ASSERT_TRUE(server.Exchange(HeadersFrame(5, RequestBlock() + IndexedLiteral("cookie", std::string(3000, 'c')))));
  ASSERT_TRUE(server.Exchange(LongHeaders(7, RequestBlock() + std::string(12'000, '\xbe'))));
  EXPECT_EQ(server.SentReset(7), 2);
  EXPECT_EQ(server.requests, 1);
}

TEST(H2Faults, H2_27_TooManyOrTooLargeFields) {
  std::string hundred = RequestBlock();
  for (int i = 0; i < 100; ++i) hundred += Literal("x-f", "1");
  std::string tiny = RequestBlock();
  for (int i = 0; i < 26'208; ++i) tiny += Literal("a", "b");
  struct Row {
    const char* what;
    std::string block;
    const char* reject;  ///< null with reset -1: accepted
    std::int64_t reset;
  };
  const std::string authority = RequestBlock();
  for (const Row& row :
       {Row{"100 fields", hundred, nullptr, -1},
        Row{"101 fields", hundred + Literal("x-f", "1"), "headers_too_large", -1},
        Row{"a field of 31 KiB", authority + Literal("x", std::string(31 * 1024, 'x')), nullptr, -1},
        Row{"a field of 33 KiB", authority + Literal("x", std::string(33 * 1024, 'x')), "headers_too_large", -1},
        Row{"two fields of 33 KiB",
            authority + Literal("x", std::string(33 * 1024, 'x')) + Literal("y", std::string(33 * 1024, 'y')), nullptr,
            2},
        Row{"26,208 fields in 131 KB", tiny, nullptr, 2},
        Row{"a path of 9 KiB", RequestBlock("GET", "/" + std::string(9 * 1024, 'p')), "uri_too_long", -1},
        Row{"a path of 40 KiB", RequestBlock("GET", "/" + std::string(40 * 1024, 'p')), "uri_too_long", -1}}) {
    Server server;
    server.Exchange(LongHeaders(1, row.block));
    ASSERT_TRUE(server.alive) << row.what;
    EXPECT_EQ(server.SentReset(1), row.reset) << row.what;
    EXPECT_EQ(server.requests, row.reject == nullptr && row.reset < 0 ? 1 : 0) << row.what;
    if (row.reject != nullptr) {
      ASSERT_EQ(server.streams.count(1), 1u) << row.what;
      EXPECT_STREQ(server.streams.at(1)->reject_reason, row.reject) << row.what;
    }
  }
}

TEST(H2Faults, H2_27_TooManyTrailersAreReset) {
  Server server;
  std::string trailers;
  for (int i = 0; i < 101; ++i) trailers += Literal("x-t", "1");
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock(), false) + HeadersFrame(1, trailers)));
  EXPECT_EQ(server.SentReset(1), 2);
  EXPECT_FALSE(server.streams.at(1)->ended);
}

TEST(H2Faults, H2_29_StreamsBeyondTheLimit) {
  std::string streams;
  for (int i = 0; i < 150; ++i) streams += HeadersFrame(Id(i), RequestBlock());
  H2End before(H2Codec::Side::kServer);
  ASSERT_TRUE(before.Exchange(ClientPreface() + streams));
  EXPECT_EQ(before.requests, 100);
  std::size_t refused = 0;
  for (const ParsedFrame& frame : OfType(before.SentFrames(), h2::kRst)) refused += Number(frame.payload) == 7 ? 1 : 0;
  EXPECT_EQ(refused, 50u);
  EXPECT_EQ(before.SentGoaway(), -1);
  Server after;
  EXPECT_FALSE(after.Exchange(streams));
  EXPECT_EQ(after.requests, 100);
  EXPECT_EQ(after.SentGoaway(), 1);
  EXPECT_EQ(after.ClosedStreams(), 100u);
}

TEST(H2Faults, H2_30_StreamIdsMustRise) {
  struct Row {
    const char* what;
    std::vector<std::uint32_t> ids;
  };
  for (const Row& row : {Row{"decreasing", {5, 3}}, Row{"reused", {1, 3, 1}}, Row{"reused at once", {7, 7}},
                         Row{"after the last possible id", {0x7fffffff, 1}}}) {
    Server server;
    server.respond = true;
    for (std::size_t i = 0; i + 1 < row.ids.size(); ++i)
      ASSERT_TRUE(server.Exchange(HeadersFrame(row.ids[i], RequestBlock())));
    EXPECT_FALSE(server.Exchange(HeadersFrame(row.ids.back(), RequestBlock()))) << row.what;
    EXPECT_EQ(server.SentGoaway(), 1) << row.what;
    EXPECT_EQ(server.requests, static_cast<int>(row.ids.size()) - 1) << row.what;
  }
}

TEST(H2Faults, H2_30_LateTrailersOfAResetStreamAreNoFault) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock(), false)));
  server.codec->Reset(1, H2Error::kCancel);
  server.Drain();
  EXPECT_TRUE(server.Exchange(DataFrame(1, "on its way", false) + HeadersFrame(1, Literal("x-trailer", "1"))));
  server.Advance(std::chrono::seconds(31));
  EXPECT_FALSE(server.Exchange(HeadersFrame(1, Literal("x-trailer", "1")))) << "half a minute later they are one";
}

TEST(H2Faults, H2_30_GracefulGoawayAtStreamsTotal) {
  H2Limits limits;
  limits.streams_total = 5;
  Server server(limits);
  server.respond = true;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(server.Exchange(HeadersFrame(Id(i), RequestBlock())));
  EXPECT_EQ(server.SentGoaway(), -1);
  ASSERT_TRUE(server.Exchange(HeadersFrame(Id(4), RequestBlock())));
  EXPECT_EQ(server.SentGoaway(), 0);
  ASSERT_TRUE(server.Exchange(HeadersFrame(Id(5), RequestBlock()))) << "it was on its way";
  EXPECT_EQ(server.requests, 6);
  const auto pings = OfType(server.SentFrames(), h2::kPing);
  ASSERT_EQ(pings.size(), 1u);
  EXPECT_FALSE(server.Exchange(Frame(h2::kPing, h2::kAck, 0, pings[0].payload)));
  EXPECT_EQ(Number(OfType(server.SentFrames(), h2::kGoaway).back().payload.substr(0, 4)), Id(5));
  EXPECT_EQ(server.codec->killed_reason(), nullptr) << "a proper end";
}

TEST(H2Faults, H2_30_GracefulGoawayEndsWithoutThePingsAnswerToo) {
  H2Limits limits;
  limits.streams_total = 5;
  Server server(limits);
  server.respond = true;
  int taken = 0;
  while (taken < 1000 && server.Exchange(HeadersFrame(Id(taken), RequestBlock()))) ++taken;
  EXPECT_EQ(taken, 105) << "100 more than the total, then the last id is said";
}

TEST(H2Faults, H2_25_GracefulGoawayAtThreeQuartersOfTheGlitches) {
  H2Limits limits;
  limits.glitches = {100, 0};
  limits.resets_sent = {1000, 0};
  Server server(limits);
  const auto bad = [&](int i) {
    return server.Exchange(HeadersFrame(Id(i), RequestBlock() + Literal("bad name", "1")));
  };
  int i = 0;
  while (server.SentGoaway() < 0 && i < 100) ASSERT_TRUE(bad(i++));
  EXPECT_EQ(server.SentGoaway(), 0);
  EXPECT_EQ(i, 39) << "two glitches each: the 39th stream finds 76 used";
  while (i < 200 && bad(i)) ++i;
  EXPECT_EQ(i, 50);
  EXPECT_EQ(server.SentGoaway(), 11);
}

TEST(H2Faults, H2_35_BodyShorterThanContentLength) {
  Server server;
  const std::string block = RequestBlock() + Literal("content-length", "5");
  ASSERT_TRUE(
      server.Exchange(HeadersFrame(1, block, false) + DataFrame(1, "123", false) + HeadersFrame(1, Literal("x", "y"))));
  ASSERT_TRUE(server.Exchange(HeadersFrame(3, block, false) + DataFrame(3, "123", true)));
  for (const std::uint32_t id : {1u, 3u}) {
    EXPECT_EQ(server.SentReset(id), 1);
    EXPECT_FALSE(server.streams.at(static_cast<std::int32_t>(id))->ended);
    EXPECT_EQ(server.streams.at(static_cast<std::int32_t>(id))->closed, H2Error::kProtocolError);
  }
  ASSERT_TRUE(server.Exchange(HeadersFrame(5, block, false) + DataFrame(5, "12345", false) +
                              HeadersFrame(5, Literal("x", "y"))));
  EXPECT_TRUE(server.streams.at(5)->ended) << "exactly that much, then trailers";
  EXPECT_EQ(server.streams.at(5)->head->content_length, 5u);
}

TEST(H2Faults, H2_36_Authority) {
  struct Row {
    const char* authority;
    const char* host;  ///< null: no such field
    const char* reject;
    const char* seen;
  };
  for (const Row& row : {
           Row{"gateway.example", nullptr, nullptr, "gateway.example"},
           Row{"gateway.example:8443", nullptr, nullptr, "gateway.example:8443"},
           Row{"[2001:db8::1]:80", nullptr, nullptr, "[2001:db8::1]:80"},
           Row{"[::1]", nullptr, nullptr, "[::1]"},
           Row{"user@gateway.example", nullptr, "bad_authority", ""},
           Row{"user:pass@gateway.example", nullptr, "bad_authority", ""},
           Row{"a,b", nullptr, "bad_authority", ""},
           Row{"a:98777", nullptr, "bad_authority", ""},
           Row{"a:0", nullptr, "bad_authority", ""},
           Row{"a:", nullptr, "bad_authority", ""},
           Row{"a:80x", nullptr, "bad_authority", ""},
           Row{"a:80:80", nullptr, "bad_authority", ""},
           Row{":80", nullptr, "bad_authority", ""},
           Row{"[::1", nullptr, "bad_authority", ""},
           Row{"[::1]80", nullptr, "bad_authority", ""},
           Row{"[]", nullptr, "bad_authority", ""},
           Row{"[a@b]", nullptr, "bad_authority", ""},
           Row{"gateway.example", "gateway.example", nullptr, "gateway.example"},
           Row{"gateway.example", "GATEWAY.example", nullptr, "gateway.example"},
           Row{"gateway.example", "evil.example", "authority_mismatch", ""},
           Row{"gateway.example", "gateway.example:443", "authority_mismatch", ""},
           Row{nullptr, "gateway.example", nullptr, "gateway.example"},
           Row{nullptr, "a@b", "bad_authority", ""},
       }) {
    Server server;
    std::string block = Literal(":method", "GET") + Literal(":scheme", "https") + Literal(":path", "/");
    if (row.authority != nullptr) block += Literal(":authority", row.authority);
    if (row.host != nullptr) block += Literal("host", row.host);
    ASSERT_TRUE(server.Exchange(HeadersFrame(1, block)));
    const std::string what =
        std::string(row.authority == nullptr ? "-" : row.authority) + " / " + (row.host == nullptr ? "-" : row.host);
    ASSERT_EQ(server.streams.count(1), 1u) << what;
    const RecordedStream& stream = *server.streams.at(1);
    EXPECT_STREQ(stream.reject_reason, row.reject) << what;
    if (row.reject != nullptr) {
      EXPECT_EQ(stream.reject_code, ErrorCode::kBadRequest) << what;
    } else {
      EXPECT_EQ(stream.head->authority(), row.seen) << what;
      EXPECT_FALSE(stream.head->Has(HeaderId::kHost)) << "it is :authority";
    }
  }
}

TEST(H2Faults, H2_37_ASchemeOfAnotherWorld) {
  Server server;  // nghttp2 does not look at the path then
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, Literal(":method", "GET") + Literal(":scheme", "ftp") +
                                                  Literal(":authority", "a") + Literal(":path", "no-slash"))));
  EXPECT_STREQ(server.streams.at(1)->reject_reason, "bad_scheme");
}

TEST(H2Faults, H2_38_WhatIsDispatchedHoldsNoControlCharacter) {
  for (int c = 0; c < 256; ++c) {
    Server server;
    const std::string value = std::string("a") + static_cast<char>(c) + "b";
    ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() + Literal("x-a", value))));
    const bool dispatched = server.requests == 1;
    const bool control = (c < 0x20 && c != '\t') || c == 0x7f;
    EXPECT_NE(dispatched, control) << c;
    if (dispatched) {
      EXPECT_EQ(server.streams.at(1)->head->Find("x-a"), c < 0x80 ? value : "") << "a lone 8-bit byte is no UTF-8";
    } else {
      EXPECT_EQ(server.SentReset(1), 1) << c;
    }
  }
}

TEST(H2HeadsMore, A_08_ValuesThatSomePeersSplitOrStripAreDropped) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() +
                                                  Literal("x-a",
                                                          "\x85"
                                                          "admin\xa0") +
                                                  Literal("x-b", "caf\xc3\xa9") + Literal("x-c", "a\xc2\x85z") +
                                                  Literal("x-d", "eight bytes, then \xed\xa0\x80") +
                                                  Literal("x-e", "\xe2\x82\xac \xf0\x9f\x9a\x80") +
                                                  Literal("x-f", "\xc3") + Literal("x-g", "12345678\xff") +
                                                  Literal("x-h",
                                                          "\xff"
                                                          "2345678"))));
  ASSERT_EQ(server.requests, 1);
  const Head& head = *server.streams.at(1)->head;
  EXPECT_EQ(head.size(), 2u);
  EXPECT_EQ(head.Find("x-b"), "caf\xc3\xa9");
  EXPECT_EQ(head.Find("x-e"), "\xe2\x82\xac \xf0\x9f\x9a\x80");
}

TEST(H2HeadsMore, A_08_AnUncleanKeyIsAKeyAllTheSame) {
  Server server;
  ASSERT_TRUE(server.Exchange(
      HeadersFrame(1, RequestBlock() + Literal("authorization", "Bearer k\x85") + Literal("x-api-key", "k\xa0"))));
  ASSERT_EQ(server.requests, 1);
  EXPECT_EQ(server.streams.at(1)->head->Find(HeaderId::kAuthorization), "Bearer k\x85");
  EXPECT_EQ(server.streams.at(1)->head->Find(HeaderId::kXApiKey), "k\xa0");
}

TEST(H2HeadsMore, H1_27_UnknownExpectationsAreRefusedOverHttp2Too) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() + Literal("expect", "200-ok"), false)));
  EXPECT_STREQ(server.streams.at(1)->reject_reason, "expectation");
  EXPECT_EQ(server.streams.at(1)->reject_code, ErrorCode::kExpectationFailed);
  ASSERT_TRUE(server.Exchange(HeadersFrame(3, RequestBlock() + Literal("expect", "100-\xa0"), false)));
  EXPECT_EQ(server.streams.at(3)->reject_code, ErrorCode::kExpectationFailed) << "judged before it could be dropped";
  ASSERT_TRUE(server.Exchange(HeadersFrame(5, RequestBlock() + Literal("expect", "100-Continue"), false)));
  EXPECT_EQ(server.requests, 1);
  EXPECT_EQ(server.streams.at(5)->head->Find(HeaderId::kExpect), "100-continue");
}

TEST(H2HeadsMore, H1_19_ConnectAndTraceAreRefusedOverHttp2Too) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, Literal(":method", "CONNECT") + Literal(":authority", "a.example:443"))));
  ASSERT_TRUE(server.Exchange(HeadersFrame(3, RequestBlock("TRACE"))));
  for (const std::int32_t id : {1, 3}) {
    ASSERT_EQ(server.streams.count(id), 1u) << id;
    EXPECT_STREQ(server.streams.at(id)->reject_reason, "method_refused");
    EXPECT_EQ(server.streams.at(id)->reject_code, ErrorCode::kMethodNotAllowed);
  }
}

TEST(H2Faults, H2_39_NothingNewAfterTheClientsGoaway) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock(), false)));
  ASSERT_TRUE(server.Exchange(GoawayFrame(0, 0)));
  EXPECT_EQ(server.goaway, H2Error::kNoError);
  ASSERT_TRUE(server.Exchange(HeadersFrame(3, RequestBlock())));
  EXPECT_EQ(server.requests, 1);
  EXPECT_EQ(server.SentReset(3), 7);
  ASSERT_TRUE(server.Exchange(DataFrame(1, "rest", true))) << "the open stream finishes";
  EXPECT_EQ(server.streams.at(1)->body, "rest");
  Head head;
  head.status = 200;
  server.codec->SubmitResponse(1, head, true);
  server.Drain();
  EXPECT_EQ(server.streams.at(1)->closed, H2Error::kNoError);
  EXPECT_FALSE(server.alive) << "that was the last one";
  EXPECT_EQ(server.codec->killed_reason(), nullptr);
}

TEST(H2Faults, H2_40_ThePeerGoesOnAfterOurKill) {
  Server server;
  std::string attack;
  for (int i = 0; i < 100; ++i) attack += PingFrame();
  EXPECT_FALSE(server.Feed(attack + HeadersFrame(1, RequestBlock())));
  for (int i = 0; i < 10; ++i)
    EXPECT_FALSE(server.Feed(HeadersFrame(Id(i), RequestBlock()) + DataFrame(Id(i), "x", true)));
  EXPECT_EQ(server.requests, 0);
  server.codec->SubmitPing();
  server.codec->BeginGoaway();
  server.codec->FinishGoaway();
  server.codec->Terminate(H2Error::kNoError);
  server.codec->Reset(1, H2Error::kCancel);
  server.codec->ResumeBody(1);
  server.codec->Consumed(1, 10);
  server.codec->GrowWindow(1, 100'000);
  server.codec->Detach(1);
  server.codec->ConnectionLost();
  const auto frames = ParseFrames(server.Drain());
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].type, h2::kGoaway);
  EXPECT_FALSE(server.codec->wants_write());
}

TEST(H2Faults, H2_40_FramesAfterTerminate) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock(), false)));
  server.codec->Terminate(H2Error::kNoError);
  EXPECT_TRUE(
      server.Feed(DataFrame(1, "x", true) + HeadersFrame(3, RequestBlock()) + WindowUpdateFrame(1, 0) + PingFrame()));
  EXPECT_EQ(server.requests, 1);
  server.Drain();
  EXPECT_FALSE(server.alive);
  EXPECT_EQ(server.SentGoaway(), 0);
}

TEST(H2Faults, H2_32_GarbageInsteadOfAPreface) {
  for (const char* bytes : {"GET / HTTP/1.1\r\nhost: a\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX", "\x16\x03\x01"}) {
    H2End server(H2Codec::Side::kServer);
    EXPECT_FALSE(server.Feed(bytes));
    EXPECT_EQ(server.Drain(), "") << "to one that does not speak HTTP/2 we say nothing in it";
    EXPECT_STREQ(server.codec->killed_reason(), "bad_preface");
  }
  H2End server(H2Codec::Side::kServer);
  EXPECT_FALSE(server.Exchange(ClientMagic() + PingFrame())) << "SETTINGS comes first";
  EXPECT_EQ(server.SentGoaway(), 1);
}

TEST(H2Heads, FieldsWithUnderscoresAreDropped) {
  Server server;
  ASSERT_TRUE(
      server.Exchange(HeadersFrame(1, RequestBlock() + Literal("x_api_key", "stolen") + Literal("x-api-key", "k"))));
  const Head& head = *server.streams.at(1)->head;
  EXPECT_EQ(head.size(), 1u);
  EXPECT_EQ(head.Find(HeaderId::kXApiKey), "k");
}

TEST(H2Heads, ConnectReachesTheSessionWithoutATarget) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, Literal(":method", "CONNECT") + Literal(":authority", "a:443"), false)));
  EXPECT_EQ(server.streams.at(1)->head->method, Method::kConnect);
  ASSERT_TRUE(server.Exchange(HeadersFrame(3, RequestBlock("CONNECT") + Literal(":protocol", "websocket"), false)));
  EXPECT_EQ(server.SentReset(3), 1) << "extended CONNECT is off";
}

}  // namespace
}  // namespace penstock::http
