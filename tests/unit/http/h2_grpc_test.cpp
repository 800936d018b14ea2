// What gRPC's clients do on their connections that others do not.
#include <gtest/gtest.h>

#include "support/h2_recorder.hpp"

namespace penstock::http {
namespace {

using namespace test;  // frame names
using std::chrono::seconds;

struct Server final : H2End {
  Server() : H2End(H2Codec::Side::kServer) {
    EXPECT_TRUE(Exchange(ClientPreface()));
    EXPECT_TRUE(Exchange(SettingsAck()));
  }
  static std::string Block(std::string_view more = {}) {
    return RequestBlock("POST", "/penstock.v1.Inference/Chat") + Literal("content-type", "application/grpc") +
           std::string(more);
  }
  /// A call on a stream of its own, answered in full.
  void Call(std::uint32_t id) {
    respond = true;
    ASSERT_TRUE(Exchange(HeadersFrame(id, Block())));
    ASSERT_EQ(codec->open_streams(), 0u);
    respond = false;
  }
  /// How many of `most` PINGs, one per `gap`, were taken.
  int Ping(int most, Duration gap) {
    for (int i = 0; i < most; ++i) {
      Advance(gap);
      if (!Exchange(PingFrame())) return i;
    }
    return most;
  }
  std::string_view reason() const { return codec->killed_reason() == nullptr ? "" : codec->killed_reason(); }
};

TEST(H2Grpc, Q_23_PingsWithoutStreams) {
  Server server;
  server.Call(1);
  EXPECT_EQ(server.Ping(100, seconds(1)), 4) << "two, and two strikes";
  EXPECT_EQ(server.reason(), "too_many_pings");
  EXPECT_EQ(server.SentGoaway(), 11);
  EXPECT_EQ(OfType(server.SentFrames(), h2::kGoaway).back().payload.substr(8), "too_many_pings");
  EXPECT_EQ(server.codec->open_streams(), 0u);
}

TEST(H2Grpc, Q_23_TwoPingsInFiveMinutesAreFineForEver) {
  Server server;
  server.Call(1);
  EXPECT_EQ(server.Ping(1000, seconds(150)), 1000);
  EXPECT_LT(server.Ping(1000, seconds(100)), 20);
}

TEST(H2Grpc, Q_23_ACallForgivesTheStrikes) {
  Server server;
  for (std::uint32_t id = 1; id < 100; id += 2) {
    server.Call(id);
    ASSERT_EQ(server.Ping(4, seconds(1)), 4) << id;
  }
}

TEST(H2Grpc, Q_23_PingsDuringACallDrawOnTheGeneralBudget) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, Server::Block())));
  EXPECT_EQ(server.Ping(3600, seconds(1)), 3600) << "it may wait for long";
  server.Advance(seconds(1));
  EXPECT_EQ(server.Ping(1000, Duration::zero()), 20) << "but not flood";
  EXPECT_EQ(server.reason(), "too_many_pings");
}

TEST(H2Grpc, Q_23_OtherClientsKeepTheGeneralBudget) {
  Server server;
  server.respond = true;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, RequestBlock() + Literal("content-type", "application/json"))));
  EXPECT_EQ(server.Ping(3600, seconds(1)), 3600);
}

/// One PING per round trip in which data came: grpc-go sends one for nearly every token.
TEST(H2Grpc, Q_23_BandwidthProbesAreNoFlood) {
  Server server;
  ASSERT_TRUE(server.Exchange(HeadersFrame(1, Server::Block())));
  RecordedStream& serving = *server.streams.at(1);
  serving.last = BodyState::kMore;
  Head head;
  head.status = 200;
  server.codec->SubmitResponse(1, head, false);
  for (int i = 0; i < 2000; ++i) {
    serving.to_send = "token";
    server.codec->ResumeBody(1);
    server.Drain();
    ASSERT_TRUE(server.Exchange(WindowUpdateFrame(1, 5) + WindowUpdateFrame(0, 5) + PingFrame())) << i;
  }
  int more = 0;
  while (more < 1000 && server.Exchange(PingFrame())) ++more;
  EXPECT_EQ(more, 20) << "without data they are what they were";
}

TEST(H2Grpc, Q_16_HeadsOfGrpc) {
  struct Row {
    const char* what;
    std::string block;
    std::int64_t reset;
  };
  for (const Row& row :
       {Row{"te missing", Server::Block(), -1}, Row{"te", Server::Block(Literal("te", "trailers")), -1},
        Row{"two paths", RequestBlock() + Literal(":path", "/a/b"), 1},
        Row{"two paths behind a field", Server::Block(Literal(":path", "/a/b")), 1}}) {
    Server server;
    ASSERT_TRUE(server.Exchange(HeadersFrame(1, row.block))) << row.what;
    EXPECT_EQ(server.SentReset(1), row.reset) << row.what;
    EXPECT_EQ(server.requests, row.reset < 0 ? 1 : 0) << row.what;
    ASSERT_TRUE(server.Exchange(HeadersFrame(3, Server::Block()))) << "the connection lives";
    EXPECT_EQ(server.streams.count(3), 1u) << row.what;
  }
}

TEST(H2Grpc, Q_22_Metadata) {
  std::string keys;
  for (int i = 0; i < 1000; ++i) keys += Literal("k" + std::to_string(i), "v");
  struct Row {
    const char* what;
    std::string more;
    bool rejected;
  };
  for (const Row& row :
       {Row{"8 KiB", Literal("m", std::string(8 * 1024, 'm')), false},
        Row{"33 KiB", Literal("m", std::string(33 * 1024, 'm')), true}, Row{"1,000 keys", keys, true}}) {
    Server server;
    const std::string block = Server::Block(row.more);
    std::string frames;
    for (std::size_t at = 0; at < block.size(); at += 16'000) {
      const std::string part = block.substr(at, 16'000);
      const bool last = at + part.size() == block.size();
      frames += at != 0 ? ContinuationFrame(1, part, last)
                        : Frame(h2::kHeaders, last ? h2::kEndHeaders | h2::kEndStream : h2::kEndStream, 1, part);
    }
    ASSERT_TRUE(server.Exchange(frames)) << row.what;
    ASSERT_EQ(server.streams.count(1), 1u) << row.what;
    const char* reason = server.streams.at(1)->reject_reason;
    EXPECT_EQ(reason == nullptr ? "" : std::string(reason), row.rejected ? "headers_too_large" : "") << row.what;
    EXPECT_EQ(server.streams.at(1)->head->Find(HeaderId::kContentType), "application/grpc") << row.what;
  }
}

}  // namespace
}  // namespace penstock::http
