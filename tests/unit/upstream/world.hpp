#pragma once

// One worker on a simulated network, servers whose every byte the test chooses, and exchanges that write down what they
// hear.

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/upstream/connection_pool.hpp"
#include "support/seed.hpp"
#include "support/sim_loop.hpp"

namespace penstock::upstream {

/// The far end of one connection.
struct PeerConnection final : rt::SocketHandler {
  explicit PeerConnection(std::unique_ptr<rt::Socket> accepted) : socket(std::move(accepted)) { socket->Start(*this); }
  void OnConnected() override {}
  void OnRead(std::string_view bytes) override {
    received.append(bytes);
    if (on_read) on_read(*this);
  }
  void OnEnd() override {
    ended = true;
    socket->Close();
  }
  void OnWritable() override {}
  void OnError(int) override { ended = true; }
  void Send(std::string_view bytes) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    EXPECT_EQ(socket->Write({&part, 1}), bytes.size());
  }
  /// What came since the last call.
  std::string Take() { return std::exchange(received, {}); }

  std::unique_ptr<rt::Socket> socket;
  std::function<void(PeerConnection&)> on_read;
  std::string received;
  bool ended = false;
};

/// A listening server. Its connections stay in `connections` for ever.
class Peer final : rt::AcceptHandler {
 public:
  Peer(test::SimNetwork& network, rt::Worker& worker, const rt::Address& at)
      : address(at),
        network_(network),
        fd_(network.OpenListener(at)),
        acceptor_(worker.loop().Listen(fd_, false, *this)) {}
  ~Peer() {
    acceptor_.reset();
    network_.CloseListener(fd_);
  }

  PeerConnection& last() { return *connections.back(); }
  std::size_t open() const {
    std::size_t count = 0;
    for (const auto& each : connections) count += each->ended ? 0 : 1;
    return count;
  }

  const rt::Address address;
  std::vector<std::unique_ptr<PeerConnection>> connections;
  std::function<void(PeerConnection&)> on_read;  ///< given to each new connection

 private:
  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    connections.push_back(std::make_unique<PeerConnection>(std::move(socket)));
    connections.back()->on_read = on_read;
  }
  void OnAcceptError(int) override {}

  test::SimNetwork& network_;
  int fd_;
  std::unique_ptr<rt::Acceptor> acceptor_;
};

/// One exchange and what it was told.
struct Call final : StreamHandler {
  explicit Call(std::string text = {}, http::Method method = http::Method::kPost) : body(std::move(text)), parts{body} {
    head.method = method;
    head.set_method_text(method == http::Method::kPost ? "POST" : "GET");
    head.set_scheme("http");
    head.set_authority("backend");
    head.set_target("/v1/x");
    if (method == http::Method::kPost) {
      head.content_length = body.size();
      head.Add("content-length", std::to_string(body.size()));
    }
  }
  void Submit(ConnectionPool& pool) { pool.Submit(stream, {&head, parts, body.size()}); }

  void OnRequestSent() override { ++sent; }
  void OnHead(http::HeadPtr response) override { status = response->status; }
  void OnBody(std::string_view bytes) override {
    received.append(bytes);
    if (on_body) on_body();
  }
  void OnEnd() override {
    ++ends;
    if (on_over) on_over();
  }
  void OnFailed(const Error& failure) override {
    EXPECT_FALSE(error.has_value());
    error = failure;
    if (on_over) on_over();
  }
  bool MayBeSentNow() override {
    ++asked;
    return may_be_sent;
  }
  bool over() const { return ends > 0 || error.has_value(); }
  bool good() const { return ends == 1 && !error; }
  ErrorCode code() const { return error ? error->code : ErrorCode::kNone; }

  http::Head head;
  std::string body;
  std::string_view parts[1];
  bool may_be_sent = true;
  int asked = 0;  ///< whether it may be sent
  int sent = 0;
  int status = 0;
  int ends = 0;
  std::string received;
  std::optional<Error> error;
  std::function<void()> on_body;
  std::function<void()> on_over;
  Stream stream{*this};
};

struct CountedEvents final : PoolEvents {
  void OnConnected(Duration) override { ++connected; }
  void OnConnectFailed(const Error&) override { ++failed; }
  int connected = 0;
  int failed = 0;
};

class World : public testing::Test {
 public:
  /// True when it came to hold within `limit` of simulated time.
  template <class Condition>
  bool Until(Condition done, Duration limit = std::chrono::seconds(5)) {
    bool late = false;
    rt::Timer timer(&late, [](void* flag) { *static_cast<bool*>(flag) = true; });
    worker.Arm(timer, limit);
    rt::Worker* const all[] = {&worker};
    test::RunWorkers(
        network, all, [&] { return late || done(); }, limit * 2);
    return done();
  }
  void Pass(Duration time) {
    Until([] { return false; }, time);
  }
  static rt::Address AddressOf(int host) { return *rt::Address::FromIp("10.1.0." + std::to_string(host), 80); }

  test::Seed seed;
  test::SimNetwork network{seed.value()};
  rt::Worker worker{0, std::make_unique<test::SimLoop>(network), seed.value()};
  rt::BuriedLast<http::HeadPool> head_pool{worker};
  rt::BuriedLast<http::H2Memory> h2_memory{worker};
  http::HeadPool& heads = *head_pool;
  http::H2Memory& memory = *h2_memory;
  CountedEvents events;
};

inline constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

}  // namespace penstock::upstream
