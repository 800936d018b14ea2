// Memory of an idle server connection, plain and TLS: a child process holds the clients, this one the servers, and the
// resident set is read before and after. Every connection has carried a request and an answer.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "penstock/net/listener.hpp"
#include "penstock/net/transport.hpp"
#include "support/certificates.hpp"

namespace penstock::net {
namespace {

struct Peer final : TransportHandler {
  Peer(rt::Worker& worker, bool asks) : client(asks), transport(worker, *this) {}
  void OnOpen() override {
    if (client) Say(std::string(600, 'q'));
  }
  void OnData(std::string_view bytes) override {
    received += bytes.size();
    if (!client && received == 600) Say(std::string(1024, 'a'));
  }
  void OnEnd() override {}
  void OnRoom() override {}
  void OnFailed(const Error& error) override { std::fprintf(stderr, "failed: %s\n", error.context); }
  void Say(const std::string& text) {
    transport.out().Append(text);
    transport.Flush();
  }
  bool client;
  std::size_t received = 0;
  Transport transport;
};

struct Servers final : rt::AcceptHandler {
  Servers(rt::Worker& w, const TlsServerContext* t) : worker(w), tls(t) {}
  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    peers.push_back(std::make_unique<Peer>(worker, false));
    peers.back()->transport.Accept(std::move(socket), tls);
  }
  void OnAcceptError(int) override {}
  rt::Worker& worker;
  const TlsServerContext* tls;
  std::vector<std::unique_ptr<Peer>> peers;
};

std::size_t ResidentBytes() {
  long pages = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
  if (file != nullptr) std::fclose(file);
  return static_cast<std::size_t>(resident) * 4096;
}

[[noreturn]] void RunClients(const rt::Address& address, const TlsClientContext* tls, int count) {
  rt::Worker worker(1, rt::MakeEpollLoop(), 1);
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < count; ++i) {
    peers.push_back(std::make_unique<Peer>(worker, true));
    peers.back()->transport.Connect(address, {}, tls, "gateway.test");
    while (i % 50 == 49 && peers.back()->received < 1024) worker.RunTurn();
  }
  for (;;) worker.RunTurn();
}

void IdleConnection(benchmark::State& state) {
  const bool secure = state.range(0) != 0;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const int count = static_cast<int>(std::min<rlim_t>(2000, files.rlim_cur - 100));
  test::TemporaryFolder folder;
  test::CertificateAuthority authority(folder, "authority");
  const auto files_of_server = authority.Issue("server", {.dns = {"gateway.test"}});
  const auto server_tls = *TlsServerContext::Make({files_of_server.certificate, files_of_server.private_key});
  const auto client_tls = *TlsClientContext::Make({.ca = authority.file()});
  const ListenSocket listener = *ListenSocket::Open(*rt::Address::Parse("127.0.0.1:0"), false);
  for (auto _ : state) {
    const pid_t child = fork();
    if (child == 0) RunClients(listener.address(), secure ? client_tls.get() : nullptr, count);
    rt::Worker worker(0, rt::MakeEpollLoop(), 1);
    Servers servers(worker, secure ? server_tls.get() : nullptr);
    servers.peers.reserve(static_cast<std::size_t>(count));
    malloc_trim(0);
    const std::size_t before = ResidentBytes();
    const auto acceptor = worker.loop().Listen(listener.fd(), false, servers);
    const auto complete = [&] {
      return servers.peers.size() == static_cast<std::size_t>(count) &&
             std::all_of(servers.peers.begin(), servers.peers.end(),
                         [](const auto& peer) { return peer->received == 600; });
    };
    while (!complete()) worker.RunTurn();
    state.counters["rss_bytes_per_connection"] = static_cast<double>(ResidentBytes() - before) / count;
    state.counters["heap_bytes_per_connection"] = static_cast<double>(mallinfo2().uordblks) / count;
    state.counters["connections"] = count;
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    state.PauseTiming();
    servers.peers.clear();
    state.ResumeTiming();
  }
}
BENCHMARK(IdleConnection)->ArgName("tls")->Arg(0)->Arg(1)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::net
