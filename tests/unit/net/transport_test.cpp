#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "support/certificates.hpp"
#include "support/raw_socket.hpp"
#include "unit/net/transport_side.hpp"

namespace penstock::net {
namespace {

struct Transports : testing::Test, World {
  /// A raw client of ours and the Side that serves it.
  test::RawSocket ConnectRaw() {
    const std::size_t index = servers.size();
    auto raw = test::RawSocket::Connect(listener.address());
    EXPECT_TRUE(Until([&] { return servers.size() > index; }));
    return raw;
  }
};

TEST_F(Transports, AnAcceptedConnectionOpensAtOnceAndKnowsItsPeer) {
  auto raw = ConnectRaw();
  EXPECT_EQ(server().opened, 1);
  EXPECT_TRUE(server().transport.peer() == raw.LocalAddress());
  EXPECT_FALSE(server().transport.secure());
  EXPECT_EQ(server().transport.alpn(), "");
}

TEST_F(Transports, BytesEndAndAnswer) {
  auto raw = ConnectRaw();
  raw.Send("question");
  raw.ShutdownWrite();
  ASSERT_TRUE(Until([&] { return server().ended == 1; }));
  EXPECT_EQ(server().received, "question");
  server().Send("answer");
  server().transport.ShutdownWrite();
  std::string got;
  ASSERT_TRUE(Until([&] { return got += raw.Receive(), raw.ended(); }));
  EXPECT_EQ(got, "answer");
  test::RunTurns(worker, 5);
  EXPECT_EQ(server().ended, 1) << "the hang-up after both FINs is no second end";
  EXPECT_EQ(server().failures, 0);
}

TEST_F(Transports, ShortWritesKeepTheRestAndTellWhenThereIsRoom) {
  auto raw = ConnectRaw();
  std::string sent;
  for (int i = 0; sent.size() < 8'000'000; ++i) sent += std::to_string(i) + ' ';
  server().Send(sent);
  ASSERT_TRUE(server().transport.stuck());
  const std::size_t left = server().transport.out().size();
  ASSERT_GT(left, 0u);
  ASSERT_LT(left, sent.size());
  server().transport.Flush();
  EXPECT_EQ(server().transport.out().size(), left) << "stuck: not offered again before there is room";
  test::RunTurns(worker, 10);
  EXPECT_EQ(server().rooms, 0);
  std::string got;
  ASSERT_TRUE(Until([&] { return (got += raw.Receive()).size() == sent.size(); }));
  EXPECT_TRUE(got == sent);
  EXPECT_EQ(server().rooms, 1);
  EXPECT_FALSE(server().transport.stuck());
  EXPECT_EQ(worker.chunks().in_use(), 0u);
}

TEST_F(Transports, PausedReadsNothingAndResumingGoesOnWhereItStopped) {
  auto raw = ConnectRaw();
  server().transport.PauseRead();
  raw.Send("one");
  raw.ShutdownWrite();
  test::RunTurns(worker, 10);
  EXPECT_EQ(server().received, "");
  EXPECT_EQ(server().ended, 0);
  server().transport.ResumeRead();
  EXPECT_EQ(server().received, "") << "never from inside ResumeRead";
  ASSERT_TRUE(Until([&] { return server().ended == 1; }));
  EXPECT_EQ(server().received, "one");
}

TEST_F(Transports, AResetIsToldOnceAlsoWhilePausedAndAfterTheEnd) {
  enum class When { kReading, kPaused, kEnded };
  for (const When when : {When::kReading, When::kPaused, When::kEnded}) {
    auto raw = ConnectRaw();
    if (when == When::kPaused) server().transport.PauseRead();
    if (when == When::kEnded) {
      raw.ShutdownWrite();
      ASSERT_TRUE(Until([&] { return server().ended == 1; }));
    }
    raw.Reset();
    ASSERT_TRUE(Until([&] { return server().failures == 1; }));
    EXPECT_EQ(server().failed->code, ErrorCode::kClientGone);
    EXPECT_FALSE(server().transport.open());
    test::RunTurns(worker, 5);
    EXPECT_EQ(server().failures, 1);
    EXPECT_EQ(server().ended, when == When::kEnded ? 1 : 0);
  }
}

TEST_F(Transports, BytesBeforeAResetComeFirst) {
  auto raw = ConnectRaw();
  raw.Send("last words");
  raw.Reset();
  ASSERT_TRUE(Until([&] { return server().failures == 1; }));
  EXPECT_EQ(server().received, "last words");
  EXPECT_EQ(server().ended, 0);
}

TEST_F(Transports, AnAnswerSentBeforeTheResetSurvivesOurFailedWrite) {
  // An upstream that refuses early: it answers, closes with our request unread, and the reset meets our next write.
  auto listening = test::RawSocket::Listen();
  Side client(worker);
  client.transport.Connect(listening.LocalAddress(), {}, nullptr, "");
  test::RawSocket peer;
  ASSERT_TRUE(Until([&] { return (peer.valid() || (peer = listening.Accept()).valid()) && client.opened == 1; }));
  client.Send("part one");
  peer.Send("413");
  peer.Close();  // "part one" is unread: RST
  client.Send("part two");
  client.Send("part three");
  ASSERT_TRUE(Until([&] { return client.failures == 1; }));
  EXPECT_EQ(client.received, "413");
  EXPECT_EQ(client.ended, 0) << "a reset is not an end";
  EXPECT_EQ(client.failed->code, ErrorCode::kUpstreamReset);
  EXPECT_EQ(client.failed->retry, Retry::kUnproven);
}

TEST_F(Transports, ConnectingTellsRefusalOnceAndLater) {
  rt::Address nobody;
  {
    const auto listening = test::RawSocket::Listen();
    nobody = listening.LocalAddress();
  }
  test::TemporaryFolder folder;
  for (const rt::Address& address : {nobody, *rt::Address::Parse("unix:" + folder.Path("none.sock"))}) {
    Side client(worker);
    client.transport.out().Append("early");
    client.transport.Connect(address, {}, nullptr, "");
    EXPECT_EQ(client.failures, 0) << "never from inside Connect";
    ASSERT_TRUE(Until([&] { return client.failures == 1; }));
    test::RunTurns(worker, 5);
    EXPECT_EQ(client.failures, 1);
    EXPECT_EQ(client.opened, 0);
    EXPECT_EQ(client.failed->code, ErrorCode::kUpstreamConnect);
    EXPECT_EQ(client.failed->retry, Retry::kIfUnprocessed);
  }
}

TEST_F(Transports, WhatWasQueuedBeforeTheConnectionStoodLeavesWithTheFirstFlush) {
  Side client(worker);
  client.transport.out().Append("early");
  client.on_open = [&] { client.transport.Flush(); };
  Connect(client);
  client.transport.Flush();
  ASSERT_TRUE(Until([&] { return !servers.empty() && server().received == "early"; }));
}

TEST_F(Transports, AbortIsAResetForThePeerAndCloseIsAnEnd) {
  for (const bool abort : {true, false}) {
    auto raw = ConnectRaw();
    server().Send("partial");
    abort ? server().transport.Abort() : server().transport.Close();
    ASSERT_TRUE(Until([&] { return raw.Receive(), raw.ended() || raw.error() != 0; }));
    EXPECT_EQ(raw.error(), abort ? ECONNRESET : 0);
    test::RunTurns(worker, 3);
    EXPECT_EQ(server().failures + server().ended, 0) << "no event after closing";
  }
}

TEST_F(Transports, UnixSocketsCarryBytesAndTheirFileGoesWithTheListener) {
  test::TemporaryFolder folder;
  const std::string path = folder.Path("gateway.sock");
  const auto address = rt::Address::Parse("unix:" + path);
  {
    const ListenSocket unix_listener = std::move(*ListenSocket::Open(*address, false));
    const auto unix_acceptor = worker.loop().Listen(unix_listener.fd(), true, *this);
    Side client(worker);
    client.on_open = [&] { client.Send("local"); };
    client.transport.Connect(*address, {}, nullptr, "");
    ASSERT_TRUE(Until([&] { return !servers.empty() && server().received == "local"; }));
    EXPECT_EQ(server().transport.peer().ip(), "unix");
    EXPECT_FALSE(ListenSocket::Open(*address, false).has_value()) << "somebody answers there";
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_F(Transports, AStaleSocketFileIsReplacedAndAnythingElseIsNot) {
  test::TemporaryFolder folder;
  const std::string path = folder.Path("stale.sock");
  const auto address = rt::Address::Parse("unix:" + path);
  const int stale = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(stale, address->get(), address->size()), 0);
  ::close(stale);
  EXPECT_TRUE(ListenSocket::Open(*address, false).has_value());
  const std::string file = folder.Write("file.sock", "precious");
  const auto blocked = ListenSocket::Open(*rt::Address::Parse("unix:" + file), false);
  ASSERT_FALSE(blocked.has_value());
  EXPECT_EQ(blocked.error(), "unix:" + file + ": Address already in use");
  EXPECT_EQ(::access(file.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace penstock::net
