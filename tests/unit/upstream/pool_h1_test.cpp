// The pool and its HTTP/1.1 sessions against a server whose every byte is chosen here.
#include "world.hpp"

namespace penstock::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class H1PoolFaults : public World {
 public:
  ConnectionPool& Make(PoolOptions options = {}) {
    pool = std::make_unique<ConnectionPool>(worker, heads, memory, std::move(options), events);
    pool->SetAddresses({peer.address});
    return *pool;
  }
  /// One exchange to its end; its connection stays in the pool.
  void WarmUp() {
    Call call("{}");
    call.Submit(*pool);
    ASSERT_TRUE(Until([&] { return !peer.connections.empty() && peer.last().received.ends_with("{}"); }));
    peer.last().Take();
    peer.last().Send(kOk);
    ASSERT_TRUE(Until([&] { return call.good(); }));
    ASSERT_TRUE(Until([&] { return pool->counts().idle == 1; }));
  }
  bool Arrived(std::size_t connection, std::string_view end = "{}") {
    return Until(
        [&] { return peer.connections.size() > connection && peer.connections[connection]->received.ends_with(end); });
  }

  Peer peer{network, worker, AddressOf(1)};
  std::unique_ptr<ConnectionPool> pool;
};

TEST_F(H1PoolFaults, ConnectionIsReused) {
  Make();
  for (int i = 0; i < 3; ++i) WarmUp();
  EXPECT_EQ(peer.connections.size(), 1u);
  EXPECT_EQ(events.connected, 1);
}

TEST_F(H1PoolFaults, U_05_StaleConnectionIsReplacedOnce) {
  Make();
  WarmUp();
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.connections[0]->socket->Close();
  ASSERT_TRUE(Arrived(1)) << "the request goes out again, whole";
  EXPECT_EQ(call.code(), ErrorCode::kNone);
  peer.connections[1]->Send(kOk);
  EXPECT_TRUE(Until([&] { return call.good(); }));
  EXPECT_EQ(call.received, "ok");
}

TEST_F(H1PoolFaults, U_05_OnlyOnce) {
  Make();
  WarmUp();
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.connections[0]->socket->Close();
  ASSERT_TRUE(Arrived(1));
  peer.connections[1]->socket->Close();
  EXPECT_TRUE(Until([&] { return call.over(); }));
  EXPECT_EQ(call.code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(peer.connections.size(), 2u);
}

TEST_F(H1PoolFaults, U_05_NotWhenItsOwnerDoesNotWantItAnyMore) {
  Make();
  WarmUp();
  Call call("{}");
  call.may_be_sent = false;
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  EXPECT_EQ(call.asked, 0) << "at once: no time has gone by";
  peer.connections[0]->socket->Close();
  EXPECT_TRUE(Until([&] { return call.over(); }));
  EXPECT_EQ(call.code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(call.error->retry, Retry::kIfUnprocessed);
  Pass(seconds(1));
  EXPECT_EQ(peer.connections.size(), 1u);
}

TEST_F(H1PoolFaults, U_18_WhoWaitsForAConnectionIsAskedBeforeItIsSent) {
  PoolOptions options;
  options.max = 1;
  Make(options);
  Call running("{}");
  Call unwanted("{}");
  Call behind("{}");
  for (Call* call : {&running, &unwanted, &behind}) call->Submit(*pool);
  unwanted.on_over = [&] { EXPECT_EQ(pool->waiting(), 1u); };
  ASSERT_TRUE(Arrived(0));
  unwanted.may_be_sent = false;
  peer.last().Take();
  peer.last().Send(kOk);
  ASSERT_TRUE(Arrived(0));
  EXPECT_TRUE(unwanted.over());
  EXPECT_EQ(unwanted.sent, 0);
  EXPECT_EQ(unwanted.error->retry, Retry::kIfUnprocessed);
  EXPECT_FALSE(unwanted.stream.begun());
  peer.last().Send(kOk);
  EXPECT_TRUE(Until([&] { return behind.good(); }));
  EXPECT_EQ(peer.connections.size(), 1u);
}

TEST_F(H1PoolFaults, U_05_NotAfterTheFirstByte) {
  Make();
  WarmUp();
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.connections[0]->Send("H");
  Pass(milliseconds(1));
  peer.connections[0]->socket->Close();
  EXPECT_TRUE(Until([&] { return call.over(); }));
  EXPECT_EQ(call.code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(peer.connections.size(), 1u);
}

TEST_F(H1PoolFaults, U_04_NotOnAFreshConnection) {
  Make();
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.connections[0]->socket->Abort();
  EXPECT_TRUE(Until([&] { return call.over(); }));
  EXPECT_EQ(call.code(), ErrorCode::kUpstreamReset);
  EXPECT_EQ(call.error->retry, Retry::kUnproven);
  EXPECT_EQ(peer.connections.size(), 1u);
}

TEST_F(H1PoolFaults, H1_37_BytesOnAnIdleConnectionDiscardIt) {
  Make();
  WarmUp();
  peer.last().Send(kOk);
  EXPECT_TRUE(Until([&] { return peer.last().ended; }));
  EXPECT_EQ(pool->counts().idle, 0u);
}

TEST_F(H1PoolFaults, H1_37_BytesBeforeTheRequestLeftAreNoAnswer) {
  Make();
  WarmUp();
  // They are there in the turn in which the connection is chosen: read before the request is written.
  network.SetLink(peer.address, {.latency = Duration(0)});
  peer.last().Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(1));
  peer.connections[1]->Send(kOk);
  EXPECT_TRUE(Until([&] { return call.good(); }));
  EXPECT_EQ(call.received, "ok");
}

TEST_F(H1PoolFaults, H1_37_BytesBehindTheAnswer) {
  Make();
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.last().Send(std::string(kOk) + "HTTP/1.1 200 OK\r\n");
  EXPECT_TRUE(Until([&] { return call.good(); }));
  EXPECT_TRUE(Until([&] { return peer.last().ended; }));
  EXPECT_EQ(pool->counts().idle, 0u);
}

TEST_F(H1PoolFaults, U_32_AnswerBeforeTheRequestIsSent) {
  Make();
  network.SetLink(peer.address, {.window_bytes = 1000});
  Call call(std::string(500'000, 'x'));
  Call next("{}");
  call.on_over = [&] { next.Submit(*pool); };  // must not go to the connection that still has half a request in it
  call.Submit(*pool);
  ASSERT_TRUE(Until([&] { return !peer.connections.empty() && peer.last().received.size() > 1000; }));
  peer.connections[0]->Send(kOk);
  EXPECT_TRUE(Until([&] { return call.good(); }));
  EXPECT_EQ(call.received, "ok");
  EXPECT_EQ(call.sent, 0);
  EXPECT_TRUE(Until([&] { return peer.connections[0]->ended; }))
      << "the rest of the request is missing: not to be used again";
  ASSERT_TRUE(Arrived(1));
  peer.connections[1]->Send(kOk);
  EXPECT_TRUE(Until([&] { return next.good(); }));
}

TEST_F(H1PoolFaults, U_01_RefusedOnAll) {
  PoolOptions options;
  options.max = 3;
  Make(options).SetAddresses({AddressOf(8), AddressOf(9)});
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(std::make_unique<Call>("{}"));
  for (auto& call : calls) call->Submit(*pool);
  EXPECT_TRUE(Until([&] { return std::all_of(calls.begin(), calls.end(), [](auto& call) { return call->over(); }); },
                    milliseconds(50)));
  for (auto& call : calls) {
    EXPECT_EQ(call->code(), ErrorCode::kUpstreamConnect);
    EXPECT_EQ(call->error->retry, Retry::kIfUnprocessed);
  }
  EXPECT_EQ(pool->waiting(), 0u);
  EXPECT_EQ(pool->counts().connecting, 0u);
}

TEST_F(H1PoolFaults, U_02_BlackHoleEndsAtTheConnectTimeout) {
  Make();
  network.SetLink(peer.address, {.black_hole = true});
  Call call("{}");
  call.Submit(*pool);
  const TimePoint began = network.now();
  EXPECT_TRUE(Until([&] { return call.over(); }, seconds(10)));
  EXPECT_EQ(call.code(), ErrorCode::kUpstreamConnect);
  EXPECT_EQ((network.now() - began) / milliseconds(1), 2000);
  EXPECT_EQ(pool->counts().connecting, 0u);
  network.SetLink(peer.address, {});
}

TEST_F(H1PoolFaults, MinConnectionsAreNotAskedForInALoop) {
  PoolOptions options;
  options.min = 2;
  Make(options).SetAddresses({AddressOf(9)});
  Pass(milliseconds(2500));
  EXPECT_LE(events.failed, 6);
  EXPECT_GE(events.failed, 4);
  pool->SetAddresses({peer.address});
  EXPECT_TRUE(Until([&] { return pool->counts().idle == 2; }));
}

TEST_F(H1PoolFaults, C_04_CancelWhileConnecting) {
  Make();
  network.SetLink(peer.address, {.latency = milliseconds(20)});
  Call call("{}");
  call.Submit(*pool);
  EXPECT_EQ(pool->counts().connecting, 1u);
  call.stream.Cancel();
  EXPECT_EQ(pool->counts().connecting, 0u);
  EXPECT_EQ(pool->waiting(), 0u);
  Pass(seconds(1));
  EXPECT_FALSE(call.over());
  EXPECT_EQ(network.Connections(peer.address), 0u);
}

TEST_F(H1PoolFaults, C_04_CancelWhileWaiting) {
  PoolOptions options;
  options.max = 1;
  Make(options);
  Call running("{}");
  Call waiting("{}");
  Call behind("{}");
  for (Call* call : {&running, &waiting, &behind}) call->Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.last().Take();
  waiting.stream.Cancel();
  peer.last().Send(kOk);
  ASSERT_TRUE(Arrived(0));
  peer.last().Send(kOk);
  EXPECT_TRUE(Until([&] { return behind.good(); }));
  EXPECT_TRUE(running.good());
  EXPECT_FALSE(waiting.over());
  EXPECT_EQ(peer.connections.size(), 1u);
}

TEST_F(H1PoolFaults, C_05_CancelWhileRunningClosesTheConnection) {
  Make();
  WarmUp();
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  peer.last().Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
  ASSERT_TRUE(Until([&] { return call.received == "a"; }));
  call.stream.Cancel();
  EXPECT_TRUE(Until([&] { return peer.last().ended; }));
  EXPECT_FALSE(call.over());
  const PoolCounts counts = pool->counts();
  EXPECT_EQ(counts.active + counts.idle + counts.connecting, 0u);
  peer.last().Take();
  WarmUp();
  EXPECT_EQ(peer.connections.size(), 2u);
}

TEST_F(H1PoolFaults, IdleConnectionsCloseInTime) {
  Make();
  WarmUp();
  Pass(seconds(54));
  EXPECT_EQ(pool->counts().idle, 1u);
  Pass(seconds(2));
  EXPECT_EQ(pool->counts().idle, 0u);
  EXPECT_TRUE(peer.last().ended);
}

TEST_F(H1PoolFaults, ConnectionsOpenedInVainCloseInTime) {
  Make();
  network.SetLink(peer.address, {.latency = milliseconds(5)});
  Call first("{}");
  Call second("{}");
  first.Submit(*pool);
  second.Submit(*pool);
  ASSERT_TRUE(Until([&] { return peer.connections.size() == 2 && peer.connections[0]->received.ends_with("{}"); }));
  for (auto& connection : peer.connections) connection->Send(kOk);
  Pass(seconds(60));
  EXPECT_EQ(network.Connections(peer.address), 0u);
}

TEST_F(H1PoolFaults, QuirksLearnedLater) {
  Make();
  WarmUp();
  pool->SetQuirks(seconds(4), false);
  Pass(seconds(5));
  EXPECT_EQ(pool->counts().idle, 0u) << "what is idle already closes by the new rule";
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(1));
  peer.last().Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_TRUE(Until([&] { return call.good(); }));
  EXPECT_TRUE(Until([&] { return peer.last().ended; })) << "llama-server would close it under the next request";
}

TEST_F(H1PoolFaults, U_27_StreamsWaitForTheFirstAddresses) {
  pool = std::make_unique<ConnectionPool>(worker, heads, memory, PoolOptions{}, events);
  Call call("{}");
  call.Submit(*pool);
  Pass(seconds(1));
  EXPECT_FALSE(call.over());
  pool->SetAddresses({peer.address});
  ASSERT_TRUE(Arrived(0));
  peer.last().Send(kOk);
  EXPECT_TRUE(Until([&] { return call.good(); }));
}

TEST_F(H1PoolFaults, U_27_NoAddress) {
  Make().SetAddresses({});
  Call call("{}");
  call.Submit(*pool);
  EXPECT_FALSE(call.over()) << "never from inside Submit";
  EXPECT_TRUE(Until([&] { return call.over(); }));
  EXPECT_EQ(call.code(), ErrorCode::kUpstreamDns);
}

TEST_F(H1PoolFaults, U_27_NewConnectionsToTheNewSetOldDrained) {
  Peer other(network, worker, AddressOf(2));
  Make();
  WarmUp();
  Call running("{}");
  running.Submit(*pool);
  ASSERT_TRUE(Arrived(0));
  pool->SetAddresses({other.address});
  Call next("{}");
  next.Submit(*pool);
  ASSERT_TRUE(Until([&] { return other.connections.size() == 1 && other.last().received.ends_with("{}"); }));
  other.last().Send(kOk);
  peer.last().Send(kOk);
  EXPECT_TRUE(Until([&] { return next.good() && running.good(); })) << "what ran on the old one ends well";
  EXPECT_TRUE(Until([&] { return peer.open() == 0; }));
  EXPECT_EQ(other.open(), 1u);
}

TEST_F(H1PoolFaults, RetiredPoolKeepsNothing) {
  Make();
  WarmUp();
  pool->Retire();
  EXPECT_TRUE(Until([&] { return peer.open() == 0; }));
  Call call("{}");
  call.Submit(*pool);
  ASSERT_TRUE(Arrived(1));
  peer.last().Send(kOk);
  EXPECT_TRUE(Until([&] { return call.good() && peer.open() == 0; }))
      << "an old snapshot's request is served, its connection not kept";
}

}  // namespace
}  // namespace penstock::upstream
