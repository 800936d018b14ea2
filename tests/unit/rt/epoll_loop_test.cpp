#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "penstock/rt/event_loop.hpp"
#include "penstock/rt/worker.hpp"
#include "support/raw_socket.hpp"
#include "support/turns.hpp"

namespace penstock::rt {
namespace {

constexpr int kFlood = 120;
constexpr std::size_t kShareMax = 64;  // connections taken in one turn

struct Recorder final : SocketHandler {
  void OnConnected() override { Note("connected"); }
  void OnRead(std::string_view bytes) override {
    received.append(bytes);
    largest = std::max(largest, bytes.size());
    Note("read");
  }
  void OnEnd() override { Note("end"); }
  void OnWritable() override { Note("writable"); }
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

  std::vector<std::string> log;
  std::string received;
  std::size_t largest = 0;
  int error = 0;
  std::unique_ptr<Socket> socket;
  std::function<void(std::string_view)> on_event;
};

std::size_t Write(Socket& socket, std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  return socket.Write(std::span(&part, 1));
}

struct EpollLoops : testing::Test, AcceptHandler {
  void OnAccept(std::unique_ptr<Socket> socket) override {
    accepted.push_back(std::make_unique<Recorder>());
    accepted.back()->socket = std::move(socket);
    if (start) accepted.back()->socket->Start(*accepted.back());
    if (on_accept) on_accept();
  }
  void OnAcceptError(int error) override {
    accept_errors.push_back(error);
    if (on_accept_error) on_accept_error();
  }
  template <class Condition>
  bool Until(Condition done, int turns_max = 3000) {
    return test::RunUntil(worker, done, turns_max);
  }
  test::RawSocket ConnectRaw() {
    const std::size_t index = accepted.size();
    auto raw = test::RawSocket::Connect(listening.LocalAddress());
    EXPECT_TRUE(Until([&] { return accepted.size() > index; }));
    return raw;
  }
  Recorder& last() { return *accepted.back(); }

  Worker worker{0, MakeEpollLoop(), 1};
  test::RawSocket listening = test::RawSocket::Listen();
  bool start = true;
  std::vector<std::unique_ptr<Recorder>> accepted;
  std::vector<int> accept_errors;
  std::function<void()> on_accept;
  std::function<void()> on_accept_error;
  std::unique_ptr<Acceptor> acceptor = worker.loop().Listen(listening.fd(), false, *this);
};

TEST_F(EpollLoops, BytesAndFinInOneEdgeAreBothTold) {
  start = false;
  auto raw = ConnectRaw();
  raw.Send("bytes");
  raw.ShutdownWrite();
  test::RunTurns(worker, 3);
  last().socket->Start(last());
  ASSERT_TRUE(Until([&] { return last().Count("end") == 1; }));
  EXPECT_EQ(last().received, "bytes");
}

TEST_F(EpollLoops, AServerThatAnswersAndLeavesBeforeTheConnectIsServedIsReadToItsEnd) {
  Recorder client;
  const auto address = listening.LocalAddress();
  acceptor.reset();
  client.socket = worker.loop().Connect(address, {}, client);
  test::RawSocket peer;
  while (!peer.valid()) peer = listening.Accept();
  peer.Send("banner");
  peer.Close();
  ASSERT_TRUE(Until([&] { return client.Count("end") + client.Count("error") > 0; }));
  EXPECT_EQ(client.log.front(), "connected");
  EXPECT_EQ(client.received, "banner");
  EXPECT_EQ(client.Count("end"), 1u);
}

TEST_F(EpollLoops, MoreThanOneReadArrivesInSharesAndOthersComeBetween) {
  auto heavy = ConnectRaw();
  Recorder& busy = last();
  auto light = ConnectRaw();
  Recorder& small = last();
  busy.socket->PauseRead();
  const std::string block(1 << 20, 'x');
  std::size_t sent = 0;
  while (sent < 300'000) sent += heavy.Send(block);
  test::RunTurns(worker, 3);
  std::size_t busy_reads_when_served = 0;
  small.on_event = [&](std::string_view) { busy_reads_when_served = busy.Count("read"); };
  light.Send("y");
  busy.socket->ResumeRead();
  ASSERT_TRUE(Until([&] { return busy.received.size() == sent; }));
  EXPECT_LE(busy.largest, EventLoop::kReadBytesMax);
  EXPECT_EQ(small.received, "y");
  EXPECT_LE(busy_reads_when_served, 2u) << "one share each";
}

TEST_F(EpollLoops, PausingInsideAReadHoldsTheRestAndTheEnd) {
  auto raw = ConnectRaw();
  Recorder& side = last();
  side.on_event = [&](std::string_view what) {
    if (what == "read") side.socket->PauseRead();
  };
  const std::string block(200'000, 'x');
  ASSERT_EQ(raw.Send(block), block.size());
  raw.ShutdownWrite();
  std::size_t before = 0;
  while (before < block.size()) {
    ASSERT_TRUE(Until([&] { return side.received.size() > before; }));
    before = side.received.size();
    test::RunTurns(worker, 3);
    ASSERT_EQ(side.received.size(), before);
    ASSERT_EQ(side.Count("end"), 0u);
    side.socket->ResumeRead();
  }
  EXPECT_TRUE(Until([&] { return side.Count("end") == 1; }));
}

TEST_F(EpollLoops, TheEndIsToldOnceThoughTheHangUpComesLater) {
  auto raw = ConnectRaw();
  raw.ShutdownWrite();
  ASSERT_TRUE(Until([&] { return last().Count("end") == 1; }));
  last().socket->ShutdownWrite();
  ASSERT_TRUE(Until([&] { return raw.Receive(), raw.ended(); }));
  raw.Close();
  test::RunTurns(worker, 10);
  EXPECT_EQ(last().log, (std::vector<std::string>{"end"}));
}

TEST_F(EpollLoops, AResetAfterTheEndIsAnError) {
  auto raw = ConnectRaw();
  raw.ShutdownWrite();
  ASSERT_TRUE(Until([&] { return last().Count("end") == 1; }));
  raw.Reset();
  ASSERT_TRUE(Until([&] { return last().Count("error") == 1; }));
  EXPECT_FALSE(last().socket->open());
}

TEST_F(EpollLoops, AnEndAndAResetInOneEdgeAreToldInOrder) {
  auto raw = ConnectRaw();
  last().socket->PauseRead();
  start = false;
  auto other = ConnectRaw();
  Recorder& side = last();
  other.Send("tail");
  other.ShutdownWrite();
  // The peer's stack answers bytes to a closed reader with a reset.
  Write(*side.socket, "unread");
  other.Close();
  test::RunTurns(worker, 3);
  side.socket->Start(side);
  ASSERT_TRUE(Until([&] { return side.Count("error") == 1; }));
  EXPECT_EQ(side.received, "tail");
  EXPECT_EQ(side.log, (std::vector<std::string>{"read", "end", "error"}));
}

TEST_F(EpollLoops, AResetWithUnreadBytesDeliversThemFirstAndNeverAnEnd) {
  auto raw = ConnectRaw();
  raw.Send("last words");
  raw.Reset();
  ASSERT_TRUE(Until([&] { return last().Count("error") == 1; }));
  EXPECT_EQ(last().error, ECONNRESET);
  EXPECT_EQ(last().received, "last words");
  EXPECT_EQ(last().Count("end"), 0u);
}

TEST_F(EpollLoops, APausedSocketHearsOfAReset) {
  auto raw = ConnectRaw();
  last().socket->PauseRead();
  raw.Reset();
  ASSERT_TRUE(Until([&] { return last().Count("error") == 1; }));
}

TEST_F(EpollLoops, AFailedWriteIsToldAfterWhatThePeerHadSent) {
  start = false;
  auto raw = ConnectRaw();
  Recorder& side = last();
  raw.Send("refused");
  raw.Reset();
  test::RunTurns(worker, 3);
  EXPECT_EQ(Write(*side.socket, "more"), 0u) << "meets the reset";
  side.socket->Start(side);
  EXPECT_EQ(Write(*side.socket, "more"), 0u);
  ASSERT_TRUE(Until([&] { return side.Count("error") == 1; }));
  EXPECT_EQ(side.log, (std::vector<std::string>{"read", "error"}));
  EXPECT_EQ(side.error, ECONNRESET);
}

TEST_F(EpollLoops, U_25_ADeadLinkIsGivenUpInTime) {
  const Address address = listening.LocalAddress();
  const auto user_timeout = [&address] {
    for (int fd = 0; fd < 1024; ++fd) {  // a Socket hides its descriptor
      sockaddr_storage peer{};
      socklen_t size = sizeof peer;
      if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
      if (Address(reinterpret_cast<const sockaddr*>(&peer), size) != address) continue;
      unsigned milliseconds = 0;
      socklen_t value_size = sizeof milliseconds;
      ::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, &value_size);
      return static_cast<int>(milliseconds);
    }
    return -1;
  };
  Recorder client;
  client.socket = worker.loop().Connect(address, {}, client);
  EXPECT_TRUE(Until([&] { return user_timeout() == 15'000; }));
  client.socket = worker.loop().Connect(address, {.dead_link_timeout = Duration::zero()}, client);
  EXPECT_TRUE(Until([&] { return user_timeout() == 0; }));
}

TEST_F(EpollLoops, ConnectFailuresComeLaterAndOnce) {
  const auto nobody = [] { return test::RawSocket::Listen().LocalAddress(); }();
  for (const Address& address : {nobody, *Address::Parse("unix:/nonexistent/penstock.sock")}) {
    Recorder client;
    client.socket = worker.loop().Connect(address, {}, client);
    EXPECT_TRUE(client.log.empty());
    ASSERT_TRUE(Until([&] { return !client.log.empty(); }));
    test::RunTurns(worker, 3);
    EXPECT_EQ(client.log, (std::vector<std::string>{"error"}));
    EXPECT_FALSE(client.socket->open());
  }
  Recorder dropped;
  dropped.socket = worker.loop().Connect(nobody, {}, dropped);
  dropped.socket.reset();
  test::RunTurns(worker, 3);
  EXPECT_TRUE(dropped.log.empty());
}

TEST_F(EpollLoops, SocketsMayDieInsideAnyOfTheirCallsAndInEachOthers) {
  for (const std::string_view fatal : {"read", "end", "error", "writable", "connected"}) {
    SCOPED_TRACE(fatal);
    auto raw = ConnectRaw();
    Recorder& side = last();
    Recorder client;
    const auto kill = [&](Recorder& recorder) {
      recorder.on_event = [&recorder, fatal](std::string_view what) {
        if (what == fatal) recorder.socket.reset();
      };
    };
    kill(side);
    kill(client);
    client.socket = worker.loop().Connect(listening.LocalAddress(), {}, client);
    if (fatal == "writable") {
      const std::string block(8'000'000, 'x');
      ASSERT_LT(Write(*side.socket, block), block.size());
      ASSERT_TRUE(Until([&] { return raw.Receive(), side.socket == nullptr; }));
      continue;
    }
    raw.Send("x");
    if (fatal == "end") raw.ShutdownWrite();
    if (fatal == "error") raw.Reset();
    Recorder& ended = fatal == "connected" ? client : side;
    ASSERT_TRUE(Until([&] { return ended.socket == nullptr; }));
    test::RunTurns(worker, 3);
    EXPECT_EQ(ended.log.back(), fatal);
  }
  // Two are ready in the same turn and each ends the other: only one of them is served.
  auto first = ConnectRaw();
  Recorder& a = last();
  auto second = ConnectRaw();
  Recorder& b = last();
  a.on_event = [&](std::string_view) { b.socket.reset(); };
  b.on_event = [&](std::string_view) { a.socket.reset(); };
  first.Send("x");
  second.Send("y");
  ASSERT_TRUE(Until([&] { return a.log.size() + b.log.size() > 0; }));
  test::RunTurns(worker, 3);
  EXPECT_EQ(a.log.size() + b.log.size(), 1u);
}

TEST_F(EpollLoops, AShortWriteIsFollowedByWritableAndAFullOneIsNot) {
  auto raw = ConnectRaw();
  EXPECT_EQ(Write(*last().socket, "small"), 5u);
  test::RunTurns(worker, 5);
  EXPECT_EQ(last().Count("writable"), 0u);
  const std::string block(8'000'000, 'x');
  const std::size_t taken = Write(*last().socket, block);
  ASSERT_LT(taken, block.size());
  test::RunTurns(worker, 5);
  EXPECT_EQ(last().Count("writable"), 0u) << "nobody reads";
  std::size_t got = 0;
  ASSERT_TRUE(Until([&] { return (got += raw.Receive().size()) == taken + 5; }));
  ASSERT_TRUE(Until([&] { return last().Count("writable") == 1; }));
}

/// Uses up all descriptors but `left`. A test makes one connection before: UBSan's vptr check wants a pipe for each
/// type it meets first.
struct DescriptorFamine {
  explicit DescriptorFamine(int left) {
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit low = before;
    low.rlim_cur = 256;
    setrlimit(RLIMIT_NOFILE, &low);
    for (int fd; (fd = ::dup(0)) >= 0;) held.push_back(fd);
    for (; left > 0; --left) Free();
  }
  ~DescriptorFamine() {
    while (!held.empty()) Free();
    setrlimit(RLIMIT_NOFILE, &before);
  }
  void Free() {
    ::close(held.back());
    held.pop_back();
  }
  rlimit before{};
  std::vector<int> held;
};

double ThreadCpuMilliseconds() {
  rusage spent{};
  getrusage(RUSAGE_THREAD, &spent);
  const auto milliseconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return milliseconds(spent.ru_utime) + milliseconds(spent.ru_stime);
}

TEST_F(EpollLoops, P_06_WithoutDescriptorsTheAcceptorRestsAndRecoversByItself) {
  auto before = ConnectRaw();
  accepted.clear();
  DescriptorFamine famine(1);
  auto waiting = test::RawSocket::Connect(listening.LocalAddress());
  ASSERT_TRUE(Until([&] { return !accept_errors.empty(); }));
  EXPECT_EQ(accept_errors, std::vector<int>{EMFILE});
  const TimePoint start_time = worker.Now();
  const double cpu = ThreadCpuMilliseconds();
  int turns = 0;
  while (worker.Now() - start_time < std::chrono::milliseconds(350)) {
    test::RunTurns(worker, 1);
    ++turns;
  }
  EXPECT_LE(accept_errors.size(), 5u) << "ten a second";
  EXPECT_GE(accept_errors.size(), 3u);
  EXPECT_LE(turns, 400) << "no spin";
  EXPECT_LT(ThreadCpuMilliseconds() - cpu, 175) << "most of it asleep, sanitizers included";
  famine.Free();
  ASSERT_TRUE(Until([&] { return accepted.size() == 1; }));
}

TEST_F(EpollLoops, P_06_ConnectingWithoutDescriptorsIsAnErrorAndMayBeDropped) {
  auto before = ConnectRaw();
  Recorder warm;
  warm.socket = worker.loop().Connect(listening.LocalAddress(), {}, warm);
  ASSERT_TRUE(Until([&] { return warm.Count("connected") == 1; }));
  DescriptorFamine famine(0);
  Recorder client, dropped;
  client.socket = worker.loop().Connect(listening.LocalAddress(), {}, client);
  dropped.socket = worker.loop().Connect(listening.LocalAddress(), {}, dropped);
  dropped.socket.reset();
  ASSERT_TRUE(Until([&] { return client.Count("error") == 1; }));
  EXPECT_EQ(client.error, EMFILE);
  EXPECT_TRUE(dropped.log.empty());
}

TEST_F(EpollLoops, P_06_AnAcceptorMayBeDestroyedOrPausedWhileItRests) {
  auto before = ConnectRaw();
  accepted.clear();
  DescriptorFamine famine(1);
  auto waiting = test::RawSocket::Connect(listening.LocalAddress());
  on_accept_error = [&] { acceptor->Pause(); };
  ASSERT_TRUE(Until([&] { return accept_errors.size() == 1; }));
  famine.Free();
  famine.Free();
  const TimePoint start_time = worker.Now();
  ASSERT_TRUE(Until([&] { return worker.Now() - start_time > std::chrono::milliseconds(150); }));
  EXPECT_TRUE(accepted.empty()) << "the owner's pause outlives the rest";
  acceptor->Resume();
  ASSERT_TRUE(Until([&] { return accepted.size() == 1; }));

  DescriptorFamine again(1);
  auto late = test::RawSocket::Connect(listening.LocalAddress());
  on_accept_error = [&] { acceptor.reset(); };
  ASSERT_TRUE(Until([&] { return accept_errors.size() == 2; }));
  const TimePoint then = worker.Now();
  ASSERT_TRUE(Until([&] { return worker.Now() - then > std::chrono::milliseconds(150); }));
}

TEST_F(EpollLoops, AnAcceptorMayBeDestroyedOrPausedInsideOnAccept) {
  std::vector<test::RawSocket> raws;
  on_accept = [&] { acceptor->Pause(); };
  for (int i = 0; i < 5; ++i) raws.push_back(test::RawSocket::Connect(listening.LocalAddress()));
  ASSERT_TRUE(Until([&] { return !accepted.empty(); }));
  test::RunTurns(worker, 3);
  EXPECT_EQ(accepted.size(), 1u);
  on_accept = [&] { acceptor.reset(); };
  acceptor->Resume();
  ASSERT_TRUE(Until([&] { return acceptor == nullptr; }));
  EXPECT_EQ(accepted.size(), 2u);
}

TEST_F(EpollLoops, P_15_AFullAcceptQueueIsTakenInSharesAndOthersComeBetween) {
  auto light = ConnectRaw();
  Recorder& known = last();
  ASSERT_EQ(::listen(listening.fd(), 2 * kFlood), 0);
  std::vector<test::RawSocket> flood;
  for (int i = 0; i < kFlood; ++i) flood.push_back(test::RawSocket::Connect(listening.LocalAddress()));
  std::size_t accepted_when_served = 0;
  known.on_event = [&](std::string_view) { accepted_when_served = accepted.size(); };
  light.Send("y");
  std::size_t largest_share = 0;
  ASSERT_TRUE(Until([&] {
    const std::size_t before = accepted.size();
    worker.RunTurn();
    largest_share = std::max(largest_share, accepted.size() - before);
    return accepted.size() == 1 + std::size_t{kFlood};
  }));
  EXPECT_LE(largest_share, kShareMax);
  EXPECT_EQ(known.received, "y");
  EXPECT_LE(accepted_when_served, 1 + kShareMax) << "after one share at the latest";
}

TEST_F(EpollLoops, DrainingTakesWhatTheKernelHasAcceptedAlsoWhilePaused) {
  acceptor->Pause();
  std::vector<test::RawSocket> raws;
  for (int i = 0; i < 5; ++i) raws.push_back(test::RawSocket::Connect(listening.LocalAddress()));
  test::RunTurns(worker, 3);
  EXPECT_TRUE(accepted.empty());
  acceptor->DrainBacklog(3);
  EXPECT_EQ(accepted.size(), 3u);
  acceptor->DrainBacklog(100);
  EXPECT_EQ(accepted.size(), 5u);
}

TEST_F(EpollLoops, AUnixListenerIsSharedByTwoLoops) {
  Worker other(1, MakeEpollLoop(), 2);
  const auto also = other.loop().Listen(listening.fd(), true, *this);
  acceptor = worker.loop().Listen(listening.fd(), true, *this);
  start = false;
  auto raw = test::RawSocket::Connect(listening.LocalAddress());
  ASSERT_TRUE(Until([&] {
    test::RunTurns(other, 1);
    return accepted.size() == 1;
  }));
  accepted.clear();
}

TEST_F(EpollLoops, AbortResetsThePeer) {
  auto raw = ConnectRaw();
  last().socket->Abort();
  ASSERT_TRUE(Until([&] { return raw.Receive(), raw.error() != 0; }));
  EXPECT_EQ(raw.error(), ECONNRESET);
}

}  // namespace
}  // namespace penstock::rt
