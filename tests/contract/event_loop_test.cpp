// What every event loop promises (include/penstock/rt/event_loop.hpp), asked of each of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "penstock/rt/worker.hpp"
#include "support/raw_socket.hpp"
#include "support/seed.hpp"
#include "support/sim_loop.hpp"
#include "support/turns.hpp"

namespace penstock::rt {
namespace {

/// One loop and its way to listen.
class Ground {
 public:
  virtual ~Ground() = default;
  virtual std::unique_ptr<EventLoop> MakeLoop() = 0;
  /// A listening descriptor; it lives as long as the ground.
  virtual int Listen(Address& address) = 0;
};

class EpollGround final : public Ground {
 public:
  std::unique_ptr<EventLoop> MakeLoop() override { return MakeEpollLoop(); }
  int Listen(Address& address) override {
    listeners_.push_back(test::RawSocket::Listen());
    address = listeners_.back().LocalAddress();
    return listeners_.back().fd();
  }

 private:
  std::vector<test::RawSocket> listeners_;
};

class SimGround final : public Ground {
 public:
  explicit SimGround(bool rough) : rough_(rough) {}
  std::unique_ptr<EventLoop> MakeLoop() override { return std::make_unique<test::SimLoop>(network_); }
  int Listen(Address& address) override {
    address = *Address::FromIp("10.1.0.1", next_port_++);
    if (rough_)
      network_.SetLink(address, {.latency = std::chrono::milliseconds(3),
                                 .bytes_per_second = 100'000'000,
                                 .window_bytes = 10'000,
                                 .short_write = 0.3,
                                 .split_read = 0.5});
    return network_.OpenListener(address);
  }

 private:
  test::Seed seed_;
  test::SimNetwork network_{seed_.value()};
  std::uint16_t next_port_ = 80;
  bool rough_;
};

struct Peer final : SocketHandler {
  void OnConnected() override { Note("connected"); }
  void OnRead(std::string_view bytes) override {
    received.append(bytes);
    largest = std::max(largest, bytes.size());
    Note("read");
  }
  void OnEnd() override { Note("end"); }
  void OnWritable() override {
    Note("writable");
    Pump();
  }
  void OnError(int e) override {
    error = e;
    Note("error");
  }
  void Note(const char* what) {
    log.emplace_back(what);
    if (on_event) on_event(what);
  }
  std::size_t Count(std::string_view what) const {
    return static_cast<std::size_t>(std::count(log.begin(), log.end(), what));
  }
  /// Sends `to_send` as room allows; a rest stays at the same place, as the loop's rules ask.
  void Pump() {
    if (sent == to_send.size() || socket == nullptr) return;
    const iovec parts[2] = {{to_send.data() + sent, std::min<std::size_t>(3, to_send.size() - sent)},
                            {to_send.data() + sent + std::min<std::size_t>(3, to_send.size() - sent),
                             to_send.size() - sent - std::min<std::size_t>(3, to_send.size() - sent)}};
    sent += socket->Write(parts);
  }
  void Send(std::string bytes) {
    to_send.erase(0, sent);
    sent = 0;
    to_send += bytes;
    Pump();
  }

  std::vector<std::string> log;
  std::string received;
  std::string to_send;
  std::size_t sent = 0;
  std::size_t largest = 0;
  int error = 0;
  std::unique_ptr<Socket> socket;
  std::function<void(std::string_view)> on_event;
};

enum class Which { kEpoll, kSim, kRoughSim };

struct EventLoopContract : testing::TestWithParam<Which>, AcceptHandler {
  static std::unique_ptr<Ground> MakeGround(Which which) {
    if (which == Which::kEpoll) return std::make_unique<EpollGround>();
    return std::make_unique<SimGround>(which == Which::kRoughSim);
  }
  void OnAccept(std::unique_ptr<Socket> socket) override {
    servers.push_back(std::make_unique<Peer>());
    servers.back()->socket = std::move(socket);
    if (on_server) on_server(*servers.back());
    if (servers.back()->socket != nullptr) servers.back()->socket->Start(*servers.back());
  }
  void OnAcceptError(int) override {}
  template <class Condition>
  bool Until(Condition done, int turns_max = 20'000) {
    return test::RunUntil(worker, done, turns_max);
  }
  void Turns(int turns) { test::RunTurns(worker, turns); }
  void Connect(Peer& client) { client.socket = worker.loop().Connect(address, {}, client); }
  /// A connected pair: the client given, the server returned.
  Peer& Pair(Peer& client) {
    const std::size_t index = servers.size();
    Connect(client);
    EXPECT_TRUE(Until([&] { return client.Count("connected") == 1 && servers.size() > index; }));
    return *servers.back();
  }
  static std::string Pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
    return bytes;
  }
  using Log = std::vector<std::string>;

  std::unique_ptr<Ground> ground = MakeGround(GetParam());
  Worker worker{0, ground->MakeLoop(), 1};
  Address address;
  int fd = ground->Listen(address);
  std::vector<std::unique_ptr<Peer>> servers;
  std::function<void(Peer&)> on_server;
  std::unique_ptr<Acceptor> acceptor = worker.loop().Listen(fd, false, *this);
};

INSTANTIATE_TEST_SUITE_P(Loops, EventLoopContract, testing::Values(Which::kEpoll, Which::kSim, Which::kRoughSim),
                         [](const auto& row) {
                           return row.param == Which::kEpoll ? "Epoll" : row.param == Which::kSim ? "Sim" : "RoughSim";
                         });

TEST_P(EventLoopContract, ConnectsLaterAndTellsFirst) {
  Peer client;
  Connect(client);
  EXPECT_TRUE(client.log.empty()) << "never from inside Connect";
  EXPECT_TRUE(client.socket->open());
  ASSERT_TRUE(Until([&] { return !client.log.empty() && servers.size() == 1; }));
  EXPECT_EQ(client.log, Log{"connected"});
  EXPECT_TRUE(client.socket->peer() == address);
  EXPECT_TRUE(servers.front()->log.empty());
}

TEST_P(EventLoopContract, RefusalIsToldOnceAndTheSocketIsClosed) {
  Address nobody;
  {
    const auto other = MakeGround(GetParam());
    other->Listen(nobody);
    if (GetParam() != Which::kEpoll) nobody = *Address::FromIp("10.1.0.2", 9);
  }
  Peer client;
  client.socket = worker.loop().Connect(nobody, {}, client);
  ASSERT_TRUE(Until([&] { return !client.log.empty(); }));
  Turns(5);
  EXPECT_EQ(client.log, Log{"error"});
  EXPECT_EQ(client.error, ECONNREFUSED);
  EXPECT_FALSE(client.socket->open());
}

TEST_P(EventLoopContract, BytesArriveWholeInOrderBothWaysAndInBoundedReads) {
  Peer client;
  Peer& server = Pair(client);
  const std::string up = Pattern(1'000'003), down = Pattern(999'999);
  client.Send(up);
  server.Send(down);
  ASSERT_TRUE(Until([&] { return server.received.size() >= up.size() && client.received.size() >= down.size(); }));
  EXPECT_TRUE(server.received == up);
  EXPECT_TRUE(client.received == down);
  EXPECT_LE(std::max(client.largest, server.largest), EventLoop::kReadBytesMax);
}

TEST_P(EventLoopContract, AShortWriteIsFollowedByWritableWhenThePeerReads) {
  Peer client;
  Peer& server = Pair(client);
  server.socket->PauseRead();
  client.Send(Pattern(20'000'000));
  ASSERT_LT(client.sent, client.to_send.size());
  Turns(100);
  const std::size_t stuck_at = client.sent;
  const std::size_t writable = client.Count("writable");
  Turns(100);
  EXPECT_EQ(client.sent, stuck_at) << "the window is full";
  EXPECT_EQ(client.Count("writable"), writable);
  EXPECT_TRUE(server.log.empty());
  server.socket->ResumeRead();
  ASSERT_TRUE(Until([&] { return client.sent > stuck_at; }));
  EXPECT_GT(client.Count("writable"), writable);
}

TEST_P(EventLoopContract, AfterAFullWriteNobodyIsToldAboutRoom) {
  Peer client;
  Peer& server = Pair(client);
  client.Send("all of it");
  ASSERT_TRUE(Until([&] { return client.sent == client.to_send.size() && server.received == "all of it"; }));
  client.log.clear();
  server.Send("answer");
  ASSERT_TRUE(Until([&] { return client.received == "answer"; }));
  Turns(20);
  EXPECT_EQ(client.Count("writable"), 0u);
}

TEST_P(EventLoopContract, PauseHoldsBytesAndEndAndResumeDeliversThemLater) {
  Peer client;
  Peer& server = Pair(client);
  server.socket->PauseRead();
  client.Send("held");
  ASSERT_TRUE(Until([&] { return client.sent == client.to_send.size(); }));
  client.socket->ShutdownWrite();
  Turns(50);
  EXPECT_TRUE(server.log.empty());
  server.socket->ResumeRead();
  EXPECT_TRUE(server.log.empty()) << "never from inside ResumeRead";
  ASSERT_TRUE(Until([&] { return server.Count("end") == 1; }));
  EXPECT_EQ(server.received, "held");
}

TEST_P(EventLoopContract, PausingInsideAReadStopsThere) {
  Peer client;
  Peer& server = Pair(client);
  server.on_event = [&](std::string_view what) {
    if (what == "read") server.socket->PauseRead();
  };
  const std::string bytes = Pattern(200'000);
  client.Send(bytes);
  std::size_t before = 0;
  while (before < bytes.size()) {
    ASSERT_TRUE(Until([&] { return server.received.size() > before; }));
    before = server.received.size();
    Turns(3);
    ASSERT_EQ(server.received.size(), before);
    server.socket->ResumeRead();
  }
  EXPECT_TRUE(server.received == bytes);
}

TEST_P(EventLoopContract, HalfACloseLeavesTheOtherHalfOpen) {
  Peer client;
  Peer& server = Pair(client);
  client.socket->ShutdownWrite();
  ASSERT_TRUE(Until([&] { return server.Count("end") == 1; }));
  server.Send("still here");
  ASSERT_TRUE(Until([&] { return client.received == "still here"; }));
  server.socket->Close();
  ASSERT_TRUE(Until([&] { return client.Count("end") == 1; }));
  Turns(20);
  EXPECT_EQ(client.Count("end"), 1u);
  EXPECT_EQ(server.Count("end"), 1u);
  EXPECT_EQ(client.Count("error") + server.Count("error"), 0u);
}

TEST_P(EventLoopContract, AResetComesAfterTheBytesBeforeItAndIsNoEnd) {
  Peer client;
  Peer& server = Pair(client);
  client.Send("last words");
  ASSERT_TRUE(Until([&] { return client.sent == client.to_send.size(); }));
  client.socket->Abort();
  EXPECT_FALSE(client.socket->open());
  ASSERT_TRUE(Until([&] { return server.Count("error") == 1; }));
  EXPECT_EQ(server.received, "last words");
  EXPECT_EQ(server.Count("end"), 0u);
  EXPECT_EQ(server.error, ECONNRESET);
  EXPECT_FALSE(server.socket->open());
  Turns(10);
  EXPECT_EQ(client.Count("end") + client.Count("error"), 0u) << "no event after Abort";
}

TEST_P(EventLoopContract, APausedSocketAndOneThatEndedHearOfAReset) {
  for (const bool paused : {true, false}) {
    Peer client;
    Peer& server = Pair(client);
    if (paused) {
      server.socket->PauseRead();
    } else {
      client.socket->ShutdownWrite();
      ASSERT_TRUE(Until([&] { return server.Count("end") == 1; }));
    }
    client.socket->Abort();
    ASSERT_TRUE(Until([&] { return server.Count("error") == 1; })) << paused;
  }
}

TEST_P(EventLoopContract, ClosingWithBytesUnreadResetsThePeer) {
  Peer client;
  Peer& server = Pair(client);
  server.socket->PauseRead();
  client.Send("never read");
  ASSERT_TRUE(Until([&] { return client.sent == client.to_send.size(); }));
  Turns(20);
  server.socket->Close();
  ASSERT_TRUE(Until([&] { return client.Count("error") == 1; }));
  EXPECT_EQ(client.error, ECONNRESET);
}

TEST_P(EventLoopContract, WritingToAPeerThatLeftIsAnErrorInTheEnd) {
  Peer client;
  Peer& server = Pair(client);
  server.socket->Close();
  ASSERT_TRUE(Until([&] { return client.Count("end") == 1; }));
  ASSERT_TRUE(Until([&] {
    client.Send("into the void");
    return client.Count("error") == 1;
  }));
  EXPECT_FALSE(client.socket->open());
}

TEST_P(EventLoopContract, AnAcceptedSocketSaysNothingBeforeStart) {
  std::unique_ptr<Socket> raw;
  on_server = [&](Peer& server) { raw = std::move(server.socket); };
  Peer client;
  Connect(client);
  ASSERT_TRUE(Until([&] { return raw != nullptr && client.Count("connected") == 1; }));
  client.Send("early");
  ASSERT_TRUE(Until([&] { return client.sent == client.to_send.size(); }));
  client.socket->ShutdownWrite();
  Turns(20);
  Peer late;
  late.socket = std::move(raw);
  late.socket->Start(late);
  ASSERT_TRUE(Until([&] { return late.Count("end") == 1; }));
  EXPECT_EQ(late.received, "early");
}

TEST_P(EventLoopContract, SocketsMayBeClosedOrDestroyedInsideTheirCalls) {
  for (const bool destroy : {true, false}) {
    for (const std::string_view fatal : {"connected", "read", "end", "error", "writable"}) {
      SCOPED_TRACE(std::string(fatal) + (destroy ? " destroy" : " close"));
      Peer client;
      client.on_event = [&](std::string_view what) {
        if (what != fatal) return;
        destroy ? client.socket.reset() : client.socket->Close();
      };
      on_server = [&](Peer& server) { server.to_send = "hello"; };
      const std::size_t index = servers.size();
      Connect(client);
      ASSERT_TRUE(Until([&] { return servers.size() > index && client.Count("connected") == 1; }));
      Peer& server = *servers.back();
      if (fatal == "writable") {
        client.Send(Pattern(20'000'000));
      } else if (fatal != "connected") {
        server.Send("hello");
        ASSERT_TRUE(Until([&] { return server.sent == server.to_send.size(); }));
        fatal == "error" ? server.socket->Abort() : server.socket->ShutdownWrite();
      }
      ASSERT_TRUE(Until([&] { return client.Count(fatal) >= 1; }));
      const Log log = client.log;
      Turns(20);
      EXPECT_EQ(client.log, log) << "no event after closing";
      servers.clear();
    }
  }
  on_server = nullptr;
}

TEST_P(EventLoopContract, ASocketDestroyedByAnotherIsNotServed) {
  Peer a, b;
  Peer& server_a = Pair(a);
  Peer& server_b = Pair(b);
  server_a.on_event = [&](std::string_view) { server_b.socket.reset(); };
  server_b.on_event = [&](std::string_view) { server_a.socket.reset(); };
  a.Send("x");
  b.Send("y");
  ASSERT_TRUE(Until([&] { return server_a.log.size() + server_b.log.size() > 0; }));
  Turns(20);
  EXPECT_EQ(server_a.log.size() + server_b.log.size(), 1u);
}

TEST_P(EventLoopContract, ThePausedAcceptorAcceptsNothingUntilResumedOrDrained) {
  acceptor->Pause();
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 6; ++i) Connect(*clients.emplace_back(std::make_unique<Peer>()));
  ASSERT_TRUE(Until([&] {
    return std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c->Count("connected") == 1; });
  }));
  EXPECT_TRUE(servers.empty());
  acceptor->DrainBacklog(2);
  EXPECT_EQ(servers.size(), 2u);
  Turns(10);
  EXPECT_EQ(servers.size(), 2u);
  on_server = [&](Peer&) { acceptor->Pause(); };
  acceptor->Resume();
  ASSERT_TRUE(Until([&] { return servers.size() == 3; }));
  Turns(10);
  EXPECT_EQ(servers.size(), 3u) << "paused again from inside OnAccept";
  on_server = [&](Peer&) { acceptor.reset(); };
  acceptor->Resume();
  ASSERT_TRUE(Until([&] { return acceptor == nullptr; }));
  EXPECT_EQ(servers.size(), 4u);
}

TEST_P(EventLoopContract, PollEndsAtItsDeadlineAndNotBefore) {
  struct Alarm {
    bool fired = false;
    Timer timer{this, [](void* self) { static_cast<Alarm*>(self)->fired = true; }};
  } alarm;
  const TimePoint start = worker.Now();
  worker.Arm(alarm.timer, std::chrono::milliseconds(20));
  int turns = 0;
  while (!alarm.fired) {
    worker.RunTurn();
    ++turns;
  }
  EXPECT_GE(worker.Now() - start, std::chrono::milliseconds(20));
  EXPECT_LE(turns, 5);
}

TEST_P(EventLoopContract, WakeEndsAWaitForNothing) {
  worker.loop().Wake();
  worker.RunTurn();  // would wait for ever
  bool read = false;
  worker.Post([&] { read = true; });
  worker.RunTurn();
  EXPECT_TRUE(read);
}

}  // namespace
}  // namespace penstock::rt
