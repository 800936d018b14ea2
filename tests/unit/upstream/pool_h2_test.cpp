// The pool and its HTTP/2 sessions against raw frames.
#include "support/h2_frames.hpp"
#include "world.hpp"

namespace penstock::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
namespace h2 = test::h2;

class H2PoolFaults : public World {
 public:
  ConnectionPool& Make(PoolOptions options = {}) {
    options.protocol = PoolProtocol::kHttp2;
    pool = std::make_unique<ConnectionPool>(worker, heads, memory, std::move(options), events);
    pool->SetAddresses({peer.address});
    return *pool;
  }
  std::size_t Requests(std::size_t connection) {
    if (peer.connections.size() <= connection) return 0;
    return test::OfType(test::ParseFrames(peer.connections[connection]->received), h2::kHeaders).size();
  }
  bool Arrived(std::size_t connection, std::size_t requests) {
    return Until([&] { return Requests(connection) == requests; });
  }
  void Settings(std::size_t connection, std::vector<std::pair<std::uint16_t, std::uint32_t>> entries = {}) {
    peer.connections[connection]->Send(test::SettingsFrame(entries) + test::SettingsAck());
  }
  void Answer(std::size_t connection, std::uint32_t stream) {
    peer.connections[connection]->Send(test::HeadersFrame(stream, test::Literal(":status", "200"), false) +
                                       test::DataFrame(stream, "ok", true));
  }
  /// The sum of WINDOW_UPDATEs that the first connection got for a stream.
  std::size_t Granted(std::uint32_t stream) {
    std::size_t sum = 0;
    for (const test::ParsedFrame& frame :
         test::OfType(test::ParseFrames(peer.connections[0]->received), h2::kWindowUpdate)) {
      if (frame.stream == stream) sum += test::Number(frame.payload);
    }
    return sum;
  }
  /// Of the RST_STREAMs that the first connection got.
  std::vector<std::uint32_t> ResetCodes() {
    std::vector<std::uint32_t> codes;
    for (const test::ParsedFrame& frame : test::OfType(test::ParseFrames(peer.connections[0]->received), h2::kRst))
      codes.push_back(test::Number(frame.payload));
    return codes;
  }
  std::vector<std::unique_ptr<Call>> Submit(int count) {
    std::vector<std::unique_ptr<Call>> calls;
    for (int i = 0; i < count; ++i) calls.push_back(std::make_unique<Call>("{}"));
    for (auto& call : calls) call->Submit(*pool);
    return calls;
  }

  Peer peer{network, worker, AddressOf(1)};
  std::unique_ptr<ConnectionPool> pool;
};

TEST_F(H2PoolFaults, ManyStreamsOneConnection) {
  Make();
  auto calls = Submit(5);
  ASSERT_TRUE(Arrived(0, 5));
  Settings(0);
  for (std::uint32_t id = 1; id < 10; id += 2) Answer(0, id);
  EXPECT_TRUE(Until([&] {
    return std::all_of(calls.begin(), calls.end(), [](auto& call) { return call->good() && call->received == "ok"; });
  }));
  EXPECT_EQ(peer.connections.size(), 1u);
  EXPECT_EQ(pool->counts().idle, 1u);
}

TEST_F(H2PoolFaults, U_19_GoawayWithStreams) {
  Make();
  auto calls = Submit(10);
  ASSERT_TRUE(Arrived(0, 10));
  Settings(0);
  peer.last().Send(test::GoawayFrame(7, 0));  // streams 1, 3, 5 and 7 are served
  ASSERT_TRUE(Until([&] { return calls[9]->over(); }));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(calls[i]->over(), i >= 4) << i;
  for (int i = 4; i < 10; ++i) {
    EXPECT_EQ(calls[i]->code(), ErrorCode::kUpstreamReset);
    EXPECT_EQ(calls[i]->error->retry, Retry::kIfUnprocessed) << "safe to send again";
  }
  auto later = Submit(1);
  ASSERT_TRUE(Arrived(1, 1)) << "no new stream on the connection that says goodbye";
  EXPECT_EQ(Requests(0), 10u);
  for (std::uint32_t id = 1; id <= 7; id += 2) Answer(0, id);
  EXPECT_TRUE(Until([&] { return calls[0]->good() && calls[1]->good() && calls[2]->good() && calls[3]->good(); }));
  EXPECT_TRUE(Until([&] { return peer.connections[0]->ended; })) << "closed when the last one is done";
}

TEST_F(H2PoolFaults, U_20_TwoStepGoaway) {
  Make();
  auto calls = Submit(2);
  ASSERT_TRUE(Arrived(0, 2));
  Settings(0);
  peer.last().Send(test::GoawayFrame(0x7fffffff, 0));
  Pass(milliseconds(1));
  EXPECT_FALSE(calls[0]->over() || calls[1]->over());
  auto later = Submit(1);
  ASSERT_TRUE(Arrived(1, 1));
  peer.connections[0]->Send(test::GoawayFrame(1, 0));
  Answer(0, 1);
  EXPECT_TRUE(Until([&] { return calls[0]->good() && calls[1]->over(); }));
  EXPECT_EQ(calls[1]->error->retry, Retry::kIfUnprocessed);
}

TEST_F(H2PoolFaults, U_20_APeerThatAsksForCalmGetsNoConnectionForAWhile) {
  Make();
  for (const auto delay : {milliseconds(100), milliseconds(200), milliseconds(400)}) {
    const std::size_t before = peer.connections.size();
    auto calls = Submit(1);
    ASSERT_TRUE(Arrived(before, 1));
    Settings(before);
    peer.last().Send(test::GoawayFrame(0, 11));
    ASSERT_TRUE(Until([&] { return calls[0]->over(); }));
    calls = Submit(1);
    Pass(delay - milliseconds(2));
    EXPECT_EQ(peer.connections.size(), before + 1) << delay.count();
    Pass(milliseconds(4));
    EXPECT_EQ(peer.connections.size(), before + 2) << delay.count();
    ASSERT_TRUE(Arrived(before + 1, 1));
    peer.last().socket->Close();
    ASSERT_TRUE(Until([&] { return calls[0]->over(); }));
  }
}

TEST_F(H2PoolFaults, U_20_OtherGoawaysDelayNothing) {
  Make();
  auto calls = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  peer.last().Send(test::GoawayFrame(0, 0));
  ASSERT_TRUE(Until([&] { return calls[0]->over(); }));
  calls = Submit(1);
  EXPECT_TRUE(Arrived(1, 1));
}

TEST_F(H2PoolFaults, U_21_RefusedStream) {
  Make();
  auto calls = Submit(2);
  ASSERT_TRUE(Arrived(0, 2));
  Settings(0);
  peer.last().Send(test::RstFrame(1, 7));
  Answer(0, 3);
  EXPECT_TRUE(Until([&] { return calls[0]->over() && calls[1]->good(); }));
  EXPECT_EQ(calls[0]->code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(calls[0]->error->retry, Retry::kIfUnprocessed);
  EXPECT_EQ(pool->counts().idle, 1u);
}

TEST_F(H2PoolFaults, U_22_ResetNoErrorAfterTheWholeAnswer) {
  Make();
  Call call(std::string(200'000, 'x'));  // more than the window: the request is not finished
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Answer(0, 1);
  peer.last().Send(test::RstFrame(1, 0));
  EXPECT_TRUE(Until([&] { return call.over(); }));
  EXPECT_TRUE(call.good());
}

TEST_F(H2PoolFaults, U_22_CancelBeforeTheHead) {
  Make();
  auto calls = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  peer.last().Send(test::RstFrame(1, 8));
  EXPECT_TRUE(Until([&] { return calls[0]->over(); }));
  EXPECT_EQ(calls[0]->code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(calls[0]->error->retry, Retry::kUnproven);
}

TEST_F(H2PoolFaults, U_24_ResetWithinTheAnswer) {
  for (const std::uint32_t code : {0u, 2u, 8u}) {
    for (const bool body : {false, true}) {
      SCOPED_TRACE(testing::Message() << "code " << code << (body ? " in the body" : " behind the head"));
      Make();
      const std::size_t at = peer.connections.size();
      auto calls = Submit(1);
      ASSERT_TRUE(Arrived(at, 1));
      Settings(at);
      peer.connections[at]->Send(test::HeadersFrame(1, test::Literal(":status", "200"), false) +
                                 (body ? test::DataFrame(1, "half", false) : "") + test::RstFrame(1, code));
      EXPECT_TRUE(Until([&] { return calls[0]->over(); }));
      EXPECT_FALSE(calls[0]->good());
      EXPECT_EQ(calls[0]->code(), ErrorCode::kUpstreamReset);
      EXPECT_EQ(calls[0]->error->retry, Retry::kUnproven);
    }
  }
}

TEST_F(H2PoolFaults, U_23_OneStreamAtATime) {
  PoolOptions options;
  options.max = 2;
  Make(options);
  auto first = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0, {{h2::kMaxConcurrentStreams, 1}});
  Pass(milliseconds(1));
  auto rest = Submit(3);
  ASSERT_TRUE(Until([&] { return peer.connections.size() == 2; })) << "a second connection, no second stream";
  Settings(1, {{h2::kMaxConcurrentStreams, 1}});
  Pass(milliseconds(1));
  EXPECT_EQ(Requests(0), 1u);
  Answer(0, 1);
  EXPECT_TRUE(Until([&] { return first[0]->good(); }));
}

TEST_F(H2PoolFaults, U_23_LoweredToZero) {
  PoolOptions options;
  options.max = 1;
  Make(options);
  auto first = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Answer(0, 1);
  ASSERT_TRUE(Until([&] { return first[0]->good(); }));
  peer.last().Send(test::SettingsFrame({{h2::kMaxConcurrentStreams, 0}}));
  Pass(milliseconds(1));
  auto next = Submit(1);
  Pass(milliseconds(100));
  EXPECT_EQ(Requests(0), 1u);
  EXPECT_EQ(pool->waiting(), 1u) << "queued";
  peer.last().Send(test::SettingsFrame({{h2::kMaxConcurrentStreams, 5}}));
  ASSERT_TRUE(Arrived(0, 2));
  Answer(0, 3);
  EXPECT_TRUE(Until([&] { return next[0]->good(); }));
}

TEST_F(H2PoolFaults, U_05_IdleConnectionDiesUnderTheRequest) {
  Make();
  auto first = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Answer(0, 1);
  ASSERT_TRUE(Until([&] { return first[0]->good(); }));
  Pass(seconds(1));
  auto next = Submit(2);
  ASSERT_TRUE(Arrived(0, 3));
  peer.connections[0]->socket->Close();
  ASSERT_TRUE(Arrived(1, 2));
  Settings(1);
  Answer(1, 1);
  Answer(1, 3);
  EXPECT_TRUE(Until([&] { return next[0]->good() && next[1]->good(); }));
}

TEST_F(H2PoolFaults, U_05_NotWhenItsOwnerDoesNotWantItAnyMore) {
  Make();
  auto first = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Answer(0, 1);
  ASSERT_TRUE(Until([&] { return first[0]->good(); }));
  Pass(seconds(1));
  auto next = Submit(3);
  ASSERT_TRUE(Arrived(0, 4));
  next[1]->may_be_sent = false;
  peer.connections[0]->socket->Close();
  ASSERT_TRUE(Arrived(1, 2)) << "the two others";
  EXPECT_EQ(next[1]->code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(next[1]->error->retry, Retry::kIfUnprocessed);
  Settings(1);
  Answer(1, 1);
  Answer(1, 3);
  EXPECT_TRUE(Until([&] { return next[0]->good() && next[2]->good(); }));
  EXPECT_EQ(Requests(1), 2u);
}

TEST_F(H2PoolFaults, U_25_SilentPeerIsFoundByPing) {
  Make();
  auto calls = Submit(1);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Pass(milliseconds(1));
  const TimePoint began = network.now();
  EXPECT_TRUE(Until([&] { return calls[0]->over(); }, seconds(20)));
  EXPECT_EQ(calls[0]->code(), ErrorCode::kUpstreamReset);
  EXPECT_LE((network.now() - began) / milliseconds(1), 15'100);
  EXPECT_GE((network.now() - began) / milliseconds(1), 14'900);
  EXPECT_FALSE(test::OfType(test::ParseFrames(peer.last().received), h2::kPing).empty());
}

TEST_F(H2PoolFaults, C_05_CancelResetsTheStreamAndKeepsTheConnection) {
  Make();
  auto calls = Submit(2);
  ASSERT_TRUE(Arrived(0, 2));
  Settings(0);
  Pass(milliseconds(1));
  calls[0]->stream.Cancel();
  EXPECT_TRUE(Until([&] { return ResetCodes() == std::vector<std::uint32_t>{8}; })) << "CANCEL";
  Answer(0, 3);
  EXPECT_TRUE(Until([&] { return calls[1]->good(); }));
  EXPECT_FALSE(calls[0]->over());
  EXPECT_EQ(pool->counts().idle, 1u);
}

TEST_F(H2PoolFaults, U_32_AnswerBeforeTheRequestIsSent) {
  Make();
  Call call(std::string(200'000, 'x'));
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Answer(0, 1);
  EXPECT_TRUE(Until([&] { return call.received == "ok"; }));
  EXPECT_TRUE(Until([&] { return call.over(); })) << "the rest of the request is not waited for";
  EXPECT_TRUE(call.good());
  EXPECT_TRUE(Until([&] { return ResetCodes() == std::vector<std::uint32_t>{0}; })) << "NO_ERROR";
  auto next = Submit(1);
  EXPECT_TRUE(Arrived(0, 2));
}

TEST_F(H2PoolFaults, AnswerOfAHeadOnly) {
  Make();
  Call whole("{}");
  Call unfinished(std::string(200'000, 'x'));
  whole.Submit(*pool);
  unfinished.Submit(*pool);
  ASSERT_TRUE(Arrived(0, 2));
  Settings(0);
  for (const std::uint32_t id : {1u, 3u})
    peer.last().Send(test::HeadersFrame(id, test::Literal(":status", "204"), true));
  EXPECT_TRUE(Until([&] { return whole.over() && unfinished.over(); }));
  EXPECT_TRUE(whole.good());
  EXPECT_TRUE(unfinished.good());
  EXPECT_EQ(whole.status, 204);
}

TEST_F(H2PoolFaults, C_07_WhoPausesBecauseOfBytesIsGrantedNoneForThem) {
  PoolOptions options;
  options.stream_window = 8192;
  Make(options);
  Call call("{}");
  call.on_body = [&call] { call.stream.SetPaused(true); };
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  EXPECT_EQ(call.stream.window(), 8192u);
  peer.last().Send(test::HeadersFrame(1, test::Literal(":status", "200"), false) +
                   test::DataFrame(1, std::string(8192, 'x'), false));
  ASSERT_TRUE(Until([&] { return call.received.size() == 8192; }));
  Pass(milliseconds(10));
  EXPECT_EQ(Granted(1), 0u);
  call.stream.SetPaused(false);
  EXPECT_TRUE(Until([&] { return Granted(1) == 8192; }));
}

TEST_F(H2PoolFaults, C_07_AGrownWindowIsGranted) {
  PoolOptions options;
  options.stream_window = 8192;
  Make(options);
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0, 1));
  Settings(0);
  Pass(milliseconds(1));
  call.stream.GrowWindow(32768);
  EXPECT_EQ(call.stream.window(), 32768u);
  EXPECT_TRUE(Until([&] { return Granted(1) == 32768 - 8192; }));
}

TEST_F(H2PoolFaults, ConnectionUnusedKeepsTheIdleTimeout) {
  PoolOptions options;
  options.min = 1;
  Make(options);
  ASSERT_TRUE(Until([&] { return pool->counts().idle == 1; }));
  Settings(0);
  Pass(seconds(30));
  EXPECT_EQ(peer.connections.size(), 1u);
}

}  // namespace
}  // namespace penstock::upstream
