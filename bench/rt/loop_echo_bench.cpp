// CPU per round trip of an echo server: our epoll loop against Boost.Asio's epoll reactor
// (docs/adr/0001-own-epoll-loop.md). Fifty connections on loopback; one thread of plain epoll plays all clients,
// ping-pong, the same for every contestant. The time is the server thread's CPU, so the clients' and other programs'
// work does not count.
//
//   bench_rt --benchmark_filter=Echo
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "penstock/rt/worker.hpp"

namespace penstock::rt {
namespace {

constexpr int kConnections = 50;
constexpr std::size_t kMessageBytes = 600;
constexpr std::uint64_t kRoundTripsPerIteration = 2000;

int ListenOnLoopback(Address& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const Address any = *Address::Parse("127.0.0.1:0");
  if (::bind(fd, any.get(), any.size()) != 0 || ::listen(fd, kConnections) != 0) std::abort();
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  address = Address(reinterpret_cast<const sockaddr*>(&storage), size);
  return fd;
}

/// The load: sends a message on every connection and the next one whenever it is echoed whole, until stopped.
class Clients {
 public:
  explicit Clients(const Address& address) : thread_([this, address] { Run(address); }) {}
  ~Clients() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Run(const Address& address) {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    std::array<int, kConnections> fds{};
    std::array<std::size_t, kConnections> got{};
    const std::array<char, kMessageBytes> message{};
    std::array<char, 64 * 1024> buffer;
    for (int i = 0; i < kConnections; ++i) {
      const int fd = fds[static_cast<std::size_t>(i)] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const int on = 1;
      if (::connect(fd, address.get(), address.size()) != 0) std::abort();
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u32 = static_cast<std::uint32_t>(i);
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
      [[maybe_unused]] const ssize_t sent = ::send(fd, message.data(), message.size(), MSG_NOSIGNAL);
    }
    std::array<epoll_event, kConnections> events;
    while (!stop_) {
      const int n = ::epoll_wait(epoll, events.data(), kConnections, 20);
      for (int i = 0; i < n; ++i) {
        const std::size_t index = events[static_cast<std::size_t>(i)].data.u32;
        const ssize_t size = ::recv(fds[index], buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size <= 0) continue;
        got[index] += static_cast<std::size_t>(size);
        if (got[index] < kMessageBytes) continue;
        got[index] = 0;
        [[maybe_unused]] const ssize_t sent = ::send(fds[index], message.data(), message.size(), MSG_NOSIGNAL);
      }
    }
    for (const int fd : fds) ::close(fd);
    ::close(epoll);
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Calls `serve` until enough messages were echoed, once an iteration.
template <class Serve>
void Measure(benchmark::State& state, const std::uint64_t& bytes_echoed, Serve serve) {
  std::uint64_t target = bytes_echoed;
  const auto run = [&] {
    target += kRoundTripsPerIteration * kMessageBytes;
    while (bytes_echoed < target) serve();
  };
  run();  // connects, warms up
  for (auto _ : state) run();
  state.counters["cpu_per_round_trip"] =
      benchmark::Counter(static_cast<double>(kRoundTripsPerIteration),
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

// --- ours ---

struct Echo final : SocketHandler, Flushable {
  Echo(Worker& w, std::unique_ptr<Socket> s, std::uint64_t& b)
      : worker(w), socket(std::move(s)), bytes(b), out(w.chunks()) {
    socket->Start(*this);
  }
  void OnConnected() override {}
  void OnRead(std::string_view in) override {
    out.Append(in);
    worker.FlushLater(*this);
  }
  void OnEnd() override { socket->Close(); }
  void OnWritable() override { Flush(); }
  void OnError(int) override {}
  void Flush() override {
    std::array<iovec, 4> parts;
    const std::size_t sent = socket->Write(std::span(parts.data(), out.Peek(parts)));
    out.Consume(sent);
    bytes += sent;
  }
  Worker& worker;
  std::unique_ptr<Socket> socket;
  std::uint64_t& bytes;
  Chain out;
};

struct EchoServer final : AcceptHandler {
  explicit EchoServer(Worker& w) : worker(w) {}
  void OnAccept(std::unique_ptr<Socket> socket) override {
    echoes.push_back(std::make_unique<Echo>(worker, std::move(socket), bytes));
  }
  void OnAcceptError(int) override {}
  Worker& worker;
  std::uint64_t bytes = 0;
  std::vector<std::unique_ptr<Echo>> echoes;
};

/// As the gateway works: bytes borrowed, answers gathered in a chain, one write at the end of the turn.
void EchoOwnLoop(benchmark::State& state) {
  Address address;
  const int fd = ListenOnLoopback(address);
  {
    Worker worker(0, MakeEpollLoop(), 1);
    EchoServer server(worker);
    const auto acceptor = worker.loop().Listen(fd, false, server);
    const Clients clients(address);
    Measure(state, server.bytes, [&] { worker.RunTurn(); });
  }
  ::close(fd);
}
BENCHMARK(EchoOwnLoop)->Unit(benchmark::kMillisecond);

// --- Asio ---

using boost::asio::ip::tcp;

/// Asio's usual way: a buffer per connection, async_read_some, async_write.
struct AsioReader {
  AsioReader(tcp::socket s, std::uint64_t& b) : socket(std::move(s)), bytes(b) { Read(); }
  void Read() {
    socket.async_read_some(
        boost::asio::buffer(buffer), [this](const boost::system::error_code& error, std::size_t size) {
          if (error) return;
          boost::asio::async_write(socket, boost::asio::buffer(buffer.data(), size),
                                   [this](const boost::system::error_code& failed, std::size_t sent) {
                                     if (failed) return;
                                     bytes += sent;
                                     Read();
                                   });
        });
  }
  tcp::socket socket;
  std::uint64_t& bytes;
  std::array<char, 4096> buffer;
};

/// Asio with borrowed buffers: waits for readiness, then reads into a scratch shared by all connections.
struct AsioWaiter {
  AsioWaiter(tcp::socket s, std::uint64_t& b) : socket(std::move(s)), bytes(b) {
    socket.non_blocking(true);
    Wait();
  }
  void Wait() {
    socket.async_wait(tcp::socket::wait_read, [this](const boost::system::error_code& error) {
      if (error) return;
      static std::array<char, 64 * 1024> scratch;
      boost::system::error_code failed;
      const std::size_t size = socket.read_some(boost::asio::buffer(scratch), failed);
      if (failed) return;
      bytes += socket.write_some(boost::asio::buffer(scratch.data(), size), failed);
      Wait();
    });
  }
  tcp::socket socket;
  std::uint64_t& bytes;
};

/// `unsafe`: the concurrency hint that turns Asio's locks off (nobody could post from another thread then), else the
/// hint 1.
template <class Connection>
void EchoAsio(benchmark::State& state) {
  boost::asio::io_context context(static_cast<int>(state.range(0)) != 0 ? BOOST_ASIO_CONCURRENCY_HINT_UNSAFE : 1);
  tcp::acceptor acceptor(context, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  std::uint64_t bytes = 0;
  std::vector<std::unique_ptr<Connection>> connections;
  std::function<void()> accept = [&] {
    acceptor.async_accept([&](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      socket.set_option(tcp::no_delay(true));
      connections.push_back(std::make_unique<Connection>(std::move(socket), bytes));
      accept();
    });
  };
  accept();
  Address address = *Address::FromIp("127.0.0.1", acceptor.local_endpoint().port());
  {
    const Clients clients(address);
    Measure(state, bytes, [&] { context.run_one(); });
  }
  connections.clear();  // handlers that are still queued die with the context, uncalled
}
BENCHMARK_TEMPLATE(EchoAsio, AsioReader)->ArgName("unsafe")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(EchoAsio, AsioWaiter)->ArgName("unsafe")->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penstock::rt
