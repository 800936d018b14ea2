// Connections that the kernel has accepted and the gateway has not, when a drain ends its accepting (FAULTS P-01).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/gateway_world.hpp"
#include "support/temporary_folder.hpp"
#include "support/turns.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kLimit = 5;  // of connections; the end of accepting looks past it
constexpr std::string_view kYaml =
    "server: {listeners: [{address: \"127.0.0.1:0\"}], limits: {connections: 5}}\nmodels: [{name: m, cluster: a}]\n"
    "clusters: [{name: a, endpoints: [{url: \"http://127.0.0.1:9\"}]}]\n";

class Backlog : public testing::Test, protected test::GatewayWorld {
 protected:
  struct Client {
    test::RawSocket socket;
    std::string answer;
  };

  Backlog() { Serve(folder_.Write("penstock.yaml", kYaml)); }

  void Ask(std::size_t clients) {
    for (std::size_t i = 0; i < clients; ++i) {
      clients_.push_back({test::RawSocket::Connect(listening.LocalAddress()), {}});
      clients_.back().socket.Send("GET /v1/models HTTP/1.1\r\nhost: gateway.test\r\n\r\n");
    }
  }
  bool AllOver() {
    bool over = true;
    for (Client& client : clients_) {
      client.answer += client.socket.Receive();
      over = over && (client.socket.ended() || client.socket.error() != 0);
    }
    return over;
  }
  void ExpectAllServed() {
    gateway->BeginDrain();
    gateway->server().StopAccepting();
    EXPECT_TRUE(test::RunUntil(worker, [this] { return AllOver(); }));
    for (const Client& client : clients_) {
      EXPECT_EQ(client.socket.error(), 0);
      EXPECT_TRUE(client.answer.starts_with("HTTP/1.1 200 ")) << client.answer;
      EXPECT_NE(client.answer.find("connection: close\r\n"), std::string::npos) << client.answer;
    }
  }

  test::TemporaryFolder folder_;
  std::vector<Client> clients_;
};

TEST_F(Backlog, P_01_IsServedWhenAcceptingEnds) {
  Ask(kLimit - 1);
  ExpectAllServed();
}

TEST_F(Backlog, P_01_IsServedWhenItReachesTheLimit) {
  Ask(4 * kLimit);
  ExpectAllServed();
}

TEST_F(Backlog, P_01_IsServedWhenTheLimitWasReachedBefore) {
  Ask(kLimit);
  EXPECT_TRUE(test::RunUntil(worker, [this] { return gateway->server().connections() == kLimit; }));
  Ask(4 * kLimit);
  test::RunTurns(worker, 10);
  EXPECT_EQ(gateway->server().connections(), kLimit);
  gateway->BeginDrain();
  gateway->server().StopAccepting();
  for (std::size_t i = 0; i < kLimit; ++i) clients_.erase(clients_.begin());  // they had their answers before
  ExpectAllServed();
}

}  // namespace
}  // namespace penstock::proxy
