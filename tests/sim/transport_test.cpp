// Transports, plain and TLS, over every kind of bad link: all bytes or a failure, never a silent truncation.
#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "penstock/net/transport.hpp"
#include "support/certificates.hpp"
#include "support/seed.hpp"
#include "support/sim_loop.hpp"

namespace penstock::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Pattern(std::size_t size, char salt) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<char>(i * 31 + i / 255 + static_cast<std::size_t>(salt));
  return bytes;
}

/// Sends its bytes, then says that it sends no more; pauses now and then while it reads.
struct Side final : TransportHandler {
  Side(rt::Worker& w, std::string s, std::uint64_t seed)
      : worker(w), to_send(std::move(s)), prng(seed), transport(w, *this) {}
  void OnOpen() override {
    open = true;
    Pump();
  }
  void OnData(std::string_view bytes) override {
    EXPECT_FALSE(paused) << "bytes during a pause";
    received.append(bytes);
    if (prng.Below(4) == 0) {
      paused = true;
      transport.PauseRead();
      worker.Arm(resume, milliseconds(static_cast<std::int64_t>(prng.Below(5))));
    }
  }
  void OnEnd() override {
    EXPECT_FALSE(paused) << "an end during a pause";
    ++ended;
    MaybeClose();
  }
  void OnRoom() override { Pump(); }
  void OnFailed(const Error& error) override { failed = error; }
  void Pump() {
    while (!transport.stuck() && sent < to_send.size() && transport.open()) {
      const std::size_t n = std::min<std::size_t>(1 + prng.Below(30'000), to_send.size() - sent);
      transport.out().Append(std::string_view(to_send).substr(sent, n));
      sent += n;
      transport.Flush();
    }
    if (sent == to_send.size() && !transport.stuck() && !finished && transport.open()) {
      finished = true;
      transport.ShutdownWrite();
    }
    MaybeClose();
  }
  void MaybeClose() {
    if (finished && ended > 0 && !transport.stuck()) transport.Close();  // a close_notify may still wait for room
  }
  bool over() const { return failed || !transport.open(); }

  rt::Worker& worker;
  std::string to_send;
  Prng prng;
  std::string received;
  std::size_t sent = 0;
  int ended = 0;
  bool open = false;
  bool paused = false;
  bool finished = false;
  std::optional<Error> failed;
  rt::Timer resume{this, [](void* self) {
                     auto* side = static_cast<Side*>(self);
                     side->paused = false;
                     side->transport.ResumeRead();
                   }};
  Transport transport;
};

struct Server final : rt::AcceptHandler {
  Server(rt::Worker& w, const TlsServerContext* t, const std::string& a, Prng& p)
      : worker(w), tls(t), answer(a), prng(p) {}
  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    sides.push_back(std::make_unique<Side>(worker, answer, prng.Next()));
    sides.back()->transport.Accept(std::move(socket), tls);
  }
  void OnAcceptError(int) override {}
  rt::Worker& worker;
  const TlsServerContext* tls;
  const std::string& answer;
  Prng& prng;
  std::vector<std::unique_ptr<Side>> sides;
};

struct TransportScenes : testing::TestWithParam<bool> {
  test::TemporaryFolder folder;
  test::CertificateAuthority authority{folder, "authority"};
  test::CertificateFiles files = authority.Issue("server", {.dns = {"gateway.test"}});
  std::shared_ptr<const TlsServerContext> server_tls = *TlsServerContext::Make({files.certificate, files.private_key});
  std::shared_ptr<const TlsClientContext> client_tls = *TlsClientContext::Make({.ca = authority.file()});
};

INSTANTIATE_TEST_SUITE_P(Plain, TransportScenes, testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Tls, TransportScenes, testing::Values(true));

TEST_P(TransportScenes, EveryByteArrivesOrTheFailureIsTold) {
  const test::Seed seed;
  Prng prng(seed.value());
  const std::string request = Pattern(150'000, 'q'), answer = Pattern(400'000, 'a');
  int whole = 0, broken = 0;
  for (int round = 0; round < 20; ++round) {
    test::SimNetwork network(prng.Next());
    rt::Worker client_worker(0, std::make_unique<test::SimLoop>(network), prng.Next());
    rt::Worker server_worker(1, std::make_unique<test::SimLoop>(network), prng.Next());
    const std::array<rt::Worker*, 2> workers{&client_worker, &server_worker};
    const rt::Address address = *rt::Address::Parse("10.2.0.1:443");
    test::LinkOptions link{.latency = milliseconds(static_cast<std::int64_t>(prng.Below(20))),
                           .bytes_per_second = 1'000'000 + prng.Below(100'000'000),
                           .window_bytes = 1000 + prng.Below(100'000),
                           .short_write = prng.Uniform() / 2,
                           .split_read = prng.Uniform(),
                           .reset_after_bytes = round % 2 == 0 ? 0 : 1 + prng.Below(560'000)};
    network.SetLink(address, link);
    Server server(server_worker, GetParam() ? server_tls.get() : nullptr, answer, prng);
    const auto acceptor = server_worker.loop().Listen(network.OpenListener(address), false, server);
    Side client(client_worker, request, prng.Next());
    client.transport.Connect(address, {}, GetParam() ? client_tls.get() : nullptr, "gateway.test");
    const auto over = [&] { return client.over() && !server.sides.empty() && server.sides[0]->over(); };
    ASSERT_TRUE(test::RunWorkers(network, workers, over, seconds(120))) << "round " << round;
    Side& accepted = *server.sides[0];
    for (const auto& [side, expected] :
         {std::pair<Side*, const std::string*>{&client, &answer}, {&accepted, &request}}) {
      EXPECT_EQ(side->received, expected->substr(0, side->received.size())) << "nothing altered";
      if (side->ended > 0) {
        EXPECT_EQ(side->received.size(), expected->size()) << "an end is a whole";
      }
      EXPECT_LE(side->ended, 1);
    }
    client.failed || accepted.failed ? ++broken : ++whole;
    if (link.reset_after_bytes == 0) {
      EXPECT_FALSE(client.failed) << client.failed->context;
      EXPECT_FALSE(accepted.failed) << accepted.failed->context;
    }
  }
  EXPECT_GE(whole, 10);
  EXPECT_GE(broken, 5);
}

}  // namespace
}  // namespace penstock::net
