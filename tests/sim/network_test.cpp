// The simulated network itself: what the scenarios built on it rely on.
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "support/seed.hpp"
#include "support/sim_loop.hpp"

namespace penstock::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Peer final : rt::SocketHandler {
  explicit Peer(SimNetwork& n) : network(n) {}
  void OnConnected() override { Note("connected"); }
  void OnRead(std::string_view bytes) override {
    received.append(bytes);
    Note("read " + std::to_string(bytes.size()));
    if (on_read) on_read();
  }
  void OnEnd() override { Note("end"); }
  void OnWritable() override { Note("writable"); }
  void OnError(int error) override { Note("error " + std::to_string(error)); }
  void Note(std::string what) {
    last_at = network.now();
    log.push_back(std::to_string(last_at.ns) + " " + what);
    last = std::move(what);
  }
  std::size_t Send(std::string_view bytes) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return socket->Write(std::span(&part, 1));
  }
  SimNetwork& network;
  std::vector<std::string> log;
  std::string last;
  TimePoint last_at{};
  std::string received;
  std::unique_ptr<rt::Socket> socket;
  std::function<void()> on_read;
};

/// A client's worker and a server's, an address between them.
struct Scene : rt::AcceptHandler {
  explicit Scene(std::uint64_t seed) : network(seed) {}
  virtual ~Scene() { servers.clear(); }
  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    servers.push_back(std::make_unique<Peer>(network));
    servers.back()->socket = std::move(socket);
    servers.back()->socket->Start(*servers.back());
    if (on_server) on_server(*servers.back());
  }
  void OnAcceptError(int error) override { accept_errors.push_back({network.now(), error}); }
  template <class Condition>
  bool RunTill(Condition done, Duration limit = minutes(1)) {
    return RunWorkers(network, workers, done, limit);
  }
  void RunFor(Duration time) {
    RunTill([] { return false; }, time);
  }
  void Connect(Peer& peer, rt::ConnectOptions options = {}) {
    peer.socket = client_worker.loop().Connect(address, options, peer);
  }

  SimNetwork network;
  rt::Worker client_worker{0, std::make_unique<SimLoop>(network), 1};
  rt::Worker server_worker{1, std::make_unique<SimLoop>(network), 2};
  std::array<rt::Worker*, 2> workers{&client_worker, &server_worker};
  rt::Address address = *rt::Address::Parse("10.2.0.1:80");
  int fd = network.OpenListener(address);
  std::vector<std::unique_ptr<Peer>> servers;
  std::vector<std::pair<TimePoint, int>> accept_errors;
  std::function<void(Peer&)> on_server;
  std::unique_ptr<rt::Acceptor> acceptor = server_worker.loop().Listen(fd, false, *this);
};

struct SimNetworkTest : testing::Test, Scene {
  SimNetworkTest() : Scene(7) {}
};

TEST_F(SimNetworkTest, LatencyAndBandwidthAreKeptToTheNanosecond) {
  network.SetLink(address, {.latency = milliseconds(10), .bytes_per_second = 1'000'000});
  const TimePoint start = network.now();
  Peer client(network);
  Connect(client);
  ASSERT_TRUE(RunTill([&] { return client.last == "connected" && servers.size() == 1; }));
  EXPECT_EQ(client.last_at - start, milliseconds(20)) << "a round trip";
  const TimePoint sent = network.now();
  EXPECT_EQ(client.Send(std::string(50'000, 'x')), 50'000u);
  ASSERT_TRUE(RunTill([&] { return servers[0]->received.size() == 50'000; }));
  EXPECT_EQ(servers[0]->last_at - sent, milliseconds(10 + 50));
}

TEST_F(SimNetworkTest, FiveMinutesOfWaitingTakeNoTime) {
  struct Clock {
    explicit Clock(rt::Worker& w) : worker(w) {}
    rt::Worker& worker;
    int fired = 0;
    rt::Timer timer{this, [](void* self) {
                      auto* clock = static_cast<Clock*>(self);
                      ++clock->fired;
                      clock->worker.Arm(clock->timer, seconds(1));
                    }};
  } a(client_worker), b(server_worker);
  client_worker.Arm(a.timer, seconds(1));
  server_worker.Arm(b.timer, milliseconds(1500));
  const TimePoint start = network.now();
  EXPECT_TRUE(RunTill([&] { return a.fired == 300; }, minutes(6)));
  EXPECT_EQ(network.now() - start, minutes(5));
  EXPECT_EQ(b.fired, 299);
}

TEST_F(SimNetworkTest, ABlackHoleSwallowsWithoutAWordAndDeadLinkTimeoutsNotice) {
  Peer client(network), patient(network);
  Connect(client);
  Connect(patient, {.dead_link_timeout = Duration::zero()});
  ASSERT_TRUE(
      RunTill([&] { return client.last == "connected" && patient.last == "connected" && servers.size() == 2; }));
  network.SetLink(address, {.black_hole = true});
  const TimePoint dark = network.now();
  client.Send("lost");
  patient.Send("late");
  Peer newcomer(network);
  Connect(newcomer);
  RunFor(seconds(30));
  EXPECT_EQ(client.last, "error " + std::to_string(ETIMEDOUT));
  EXPECT_EQ(client.last_at - dark, seconds(15));
  EXPECT_EQ(newcomer.last, "error " + std::to_string(ETIMEDOUT));
  EXPECT_EQ(patient.last, "connected") << "nobody told it";
  EXPECT_TRUE(servers[0]->log.empty() && servers[1]->log.empty());
  network.SetLink(address, {});
  ASSERT_TRUE(RunTill([&] { return servers[1]->received == "late"; })) << "retransmitted when the link is back";
}

TEST_F(SimNetworkTest, AConnectionBreaksAfterItsBytes) {
  network.SetLink(address, {.reset_after_bytes = 10'000});
  Peer client(network);
  Connect(client);
  ASSERT_TRUE(RunTill([&] { return client.last == "connected" && servers.size() == 1; }));
  client.Send(std::string(9'999, 'x'));
  RunFor(seconds(1));
  EXPECT_EQ(servers[0]->received.size(), 9'999u);
  client.Send("yz");
  RunFor(seconds(1));
  EXPECT_EQ(client.last, "error " + std::to_string(ECONNRESET));
  EXPECT_EQ(servers[0]->last, "error " + std::to_string(ECONNRESET));
  EXPECT_EQ(network.Connections(address), 0u);
}

TEST_F(SimNetworkTest, RefusedResetAndClosedListeners) {
  Peer a(network), b(network), c(network);
  Connect(a);
  ASSERT_TRUE(RunTill([&] { return a.last == "connected" && servers.size() == 1; }));
  network.ResetConnections(address);
  acceptor->Pause();
  Connect(b);
  ASSERT_TRUE(RunTill([&] { return a.last.starts_with("error") && b.last == "connected"; }));
  acceptor.reset();
  network.CloseListener(fd);
  Connect(c);
  ASSERT_TRUE(RunTill([&] { return b.last.starts_with("error") && c.last.starts_with("error"); }));
  EXPECT_EQ(b.last, "error " + std::to_string(ECONNRESET)) << "it waited in the backlog";
  EXPECT_EQ(c.last, "error " + std::to_string(ECONNREFUSED));
}

TEST_F(SimNetworkTest, P_06_AcceptsThatFailRestATenthOfASecond) {
  network.FailAccepts(fd, EMFILE, 3);
  Peer client(network);
  Connect(client);
  ASSERT_TRUE(RunTill([&] { return servers.size() == 1; }));
  ASSERT_EQ(accept_errors.size(), 3u);
  EXPECT_EQ(accept_errors[1].first - accept_errors[0].first, milliseconds(100));
  EXPECT_EQ(accept_errors[0].second, EMFILE);
}

TEST_F(SimNetworkTest, ListenersOnOneAddressShareItsConnections) {
  const int other_fd = network.OpenListener(address);
  const auto other = server_worker.loop().Listen(other_fd, false, *this);
  const auto third = client_worker.loop().Listen(fd, true, *this);
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 30; ++i) Connect(*clients.emplace_back(std::make_unique<Peer>(network)));
  EXPECT_TRUE(RunTill([&] { return servers.size() == 30; }));
}

/// A rough link, forty connections in ping-pong: everything that happened, as text.
std::vector<std::string> Rough(std::uint64_t seed) {
  Scene scene(seed);
  scene.network.SetLink(scene.address, {.latency = microseconds(700),
                                        .bytes_per_second = 5'000'000,
                                        .window_bytes = 3000,
                                        .short_write = 0.4,
                                        .split_read = 0.6,
                                        .reset_after_bytes = 20'000});
  scene.on_server = [](Peer& server) {
    server.on_read = [&server] { server.Send(server.received.substr(server.received.size() / 2)); };
  };
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<Peer>(scene.network));
    Peer& client = *clients.back();
    client.on_read = [&client] { client.Send(client.received + "more"); };
    scene.Connect(client);
  }
  scene.RunTill([&] {
    return std::all_of(clients.begin(), clients.end(), [](const auto& c) { return c->last == "connected"; });
  });
  for (const auto& client : clients) client->Send("start");
  scene.RunFor(seconds(10));
  std::vector<std::string> log;
  for (const auto& peer : clients) log.insert(log.end(), peer->log.begin(), peer->log.end());
  for (const auto& peer : scene.servers) log.insert(log.end(), peer->log.begin(), peer->log.end());
  clients.clear();
  return log;
}

TEST(SimNetworkSeeds, TheSameSeedGivesTheSameRunAndAnotherSeedAnother) {
  const Seed seed;
  const auto first = Rough(seed.value());
  EXPECT_GT(first.size(), 1000u);
  EXPECT_TRUE(Rough(seed.value()) == first);
  EXPECT_FALSE(Rough(seed.value() + 1) == first);
}

}  // namespace
}  // namespace penstock::test
