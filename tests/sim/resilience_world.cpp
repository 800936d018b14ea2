#include "sim/resilience_world.hpp"

#include <sys/uio.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "penstock/config/load.hpp"
#include "penstock/control/snapshot_builder.hpp"
#include "penstock/proxy/routes.hpp"
#include "penstock/telemetry/worker_metrics.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kFrontDoor = "127.0.0.1:8080";
/// Who leaves later than that behind an answer has had it.
constexpr Duration kRoundTrip = 2 * test::LinkOptions{}.latency;

void WriteAll(rt::Socket& socket, std::string_view bytes) {
  const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  EXPECT_EQ(socket.Write({&part, 1}), bytes.size()) << "the links are wide and the answers small";
}

/// What stands between `before` and the next `end` behind it; empty when there is no such place.
std::string_view Between(std::string_view text, std::string_view before, std::string_view end) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find(end));
}

int NumberAfter(std::string_view text, std::string_view before) {
  return std::atoi(std::string(Between(text, before, "\r\n")).c_str());
}

std::string Chunk(std::string_view bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return std::string(size).append(bytes).append("\r\n");
}

std::string Event(std::string_view delta, std::string_view finish) {
  return Chunk(
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{"
      "\"index\":0,\"delta\":" +
      std::string(delta) + ",\"finish_reason\":" + std::string(finish) + "}]}\n\n");
}

std::string Whole(std::string_view head, std::string_view body) {
  return std::string(head) + "content-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const std::string kWholeAnswer =
    Whole("HTTP/1.1 200 OK\r\n",
          R"({"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
          R"({"role":"assistant","content":"word"},"finish_reason":"stop"}],)"
          R"("usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})");

}  // namespace

// --- SimServer ---

/// Owned by one Worker. One connection.
class SimServer::Peer final : public rt::SocketHandler {
 public:
  Peer(SimServer& server, std::unique_ptr<rt::Socket> socket) : server_(server), socket_(std::move(socket)) {
    socket_->Start(*this);
  }

 private:
  void OnConnected() override {}
  void OnRead(std::string_view bytes) override {
    inbox_.append(bytes);
    if (!busy_) Begin();
  }
  void OnEnd() override { Leave(false); }
  void OnWritable() override {}
  void OnError(int) override { GivenUp(); }

  void Begin() {
    const std::size_t head = inbox_.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const auto size = static_cast<std::size_t>(NumberAfter(inbox_, "content-length: "));
    if (inbox_.size() < head + 4 + size) return;
    const std::string request = inbox_.substr(0, head + 4 + size);
    inbox_.erase(0, request.size());
    index_ = server_.seen.size();
    server_.seen.push_back(
        {.at = server_.worker_.Now(), .given_up = {}, .tag = std::string(Between(request, "\"user\":\"", "\""))});
    stream_ = request.find("\"stream\":true") != std::string::npos;
    server_.most_active = std::max(server_.most_active, ++server_.active);
    busy_ = true;
    sent_ = 0;
    act_ = server_.script(server_.seen.back());
    if (act_.kind != Act::Kind::kHang) server_.worker_.Arm(step_, act_.wait);
  }

  void Step() {
    switch (act_.kind) {
      case Act::Kind::kHang: return;
      case Act::Kind::kReset: return Leave(true);
      case Act::Kind::kStatus: return Refuse();
      case Act::Kind::kCut:
        if (sent_ == act_.tokens) return Leave(true);
        break;
      case Act::Kind::kAnswer: break;
    }
    if (stream_) return Stream();
    // Whole: there at the moment at which a stream would have ended.
    if (++sent_ < act_.tokens) return server_.worker_.Arm(step_, act_.gap);
    WriteAll(*socket_, kWholeAnswer);
    Done();
  }

  void Stream() {
    if (sent_ == 0) WriteAll(*socket_, kStreamHead);
    if (sent_ < act_.tokens) {
      ++sent_;
      WriteAll(*socket_, Event("{\"content\":\"word\"}", "null"));
      return server_.worker_.Arm(step_, act_.gap);
    }
    WriteAll(*socket_, Event("{}", "\"stop\"") + Chunk("data: [DONE]\n\n") + "0\r\n\r\n");
    Done();
  }

  void Refuse() {
    std::string head = "HTTP/1.1 " + std::to_string(act_.status) + " No\r\n";
    if (act_.retry_after_s != 0) head += "retry-after: " + std::to_string(act_.retry_after_s) + "\r\n";
    const std::string answer = Whole(head, R"({"error":{"message":"no","type":"server_error"}})");
    if (act_.stalls) return WriteAll(*socket_, std::string_view(answer).substr(0, answer.find("\r\n\r\n") + 4));
    WriteAll(*socket_, answer);
    Done();
  }

  void Done() {
    busy_ = false;
    --server_.active;
    answered_ = server_.worker_.Now();
    Begin();
  }
  void GivenUp() {
    step_.Cancel();
    const TimePoint now = server_.worker_.Now();
    if (std::exchange(busy_, false)) {
      --server_.active;
    } else if (!answered_ || now - *answered_ > kRoundTrip) {
      return;
    }
    server_.seen[index_].given_up = now;
  }
  void Leave(bool reset) {
    if (reset) {
      step_.Cancel();
      if (std::exchange(busy_, false)) --server_.active;
      socket_->Abort();
    } else {
      GivenUp();
      socket_->Close();
    }
  }

  SimServer& server_;
  std::unique_ptr<rt::Socket> socket_;
  std::string inbox_;
  rt::Timer step_{this, [](void* self) { static_cast<Peer*>(self)->Step(); }};
  Act act_;
  std::size_t index_ = 0;
  std::optional<TimePoint> answered_;
  int sent_ = 0;
  bool busy_ = false;
  bool stream_ = false;
};

SimServer::SimServer(rt::Worker& worker, test::SimNetwork& network, const rt::Address& a)
    : address(a), worker_(worker), acceptor_(worker.loop().Listen(network.OpenListener(a), false, *this)) {}

SimServer::~SimServer() = default;

void SimServer::OnAccept(std::unique_ptr<rt::Socket> socket) {
  peers_.push_back(std::make_unique<Peer>(*this, std::move(socket)));
}

std::size_t SimServer::Count(TimePoint from, TimePoint to) const {
  return static_cast<std::size_t>(std::count_if(
      seen.begin(), seen.end(), [&](const SeenRequest& request) { return from <= request.at && request.at < to; }));
}

// --- The clients ---

/// Owned by one Worker. One request on a connection of its own.
class ResilienceWorld::Client final : public rt::SocketHandler {
 public:
  Client(ResilienceWorld& world, std::size_t index, const Wish& wish) : world_(world), index_(index) {
    const std::string body = R"({"model":")" + wish.model + R"(","user":")" + world.replies_[index].tag +
                             R"(","stream":)" + (wish.stream ? "true" : "false") +
                             R"(,"messages":[{"role":"user","content":"hello"}]})";
    request_ = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n";
    if (!wish.priority.empty()) request_ += "x-penstock-priority: " + wish.priority + "\r\n";
    request_ += Whole("", body);
    if (wish.leaves_after.has_value()) world.outside_.Arm(leave_, *wish.leaves_after);
    socket_ = world.outside_.loop().Connect(*rt::Address::Parse(kFrontDoor), {}, *this);
  }
  bool over() const { return over_; }

 private:
  void OnConnected() override { WriteAll(*socket_, request_); }
  void OnRead(std::string_view bytes) override {
    answer_.append(bytes);
    Reply& reply = world_.replies_[index_];
    if (!reply.first_content.has_value() && answer_.find("\"content\":\"word\"") != std::string::npos)
      reply.first_content = world_.outside_.Now();
  }
  void OnEnd() override { Over(); }
  void OnWritable() override {}
  void OnError(int) override { Over(); }

  void Over() {
    if (std::exchange(over_, true)) return;
    leave_.Cancel();
    socket_->Close();
    Reply& reply = world_.replies_[index_];
    reply.ended = world_.outside_.Now();
    reply.status = NumberAfter(answer_, "HTTP/1.1 ");
    reply.retry_after_s = NumberAfter(answer_, "retry-after: ");
    reply.code = std::string(Between(answer_, "\"code\":\"", "\""));
    reply.whole = reply.code.empty() &&
                  (answer_.find("data: [DONE]") != std::string::npos || answer_.find("\"usage\"") != std::string::npos);
    answer_.clear();
    --world_.open_;
  }

  ResilienceWorld& world_;
  std::size_t index_;
  std::string request_;
  std::string answer_;
  std::unique_ptr<rt::Socket> socket_;
  rt::Timer leave_{this, [](void* self) {
                     auto* client = static_cast<Client*>(self);
                     client->world_.replies_[client->index_].left = true;
                     client->Over();
                   }};
  bool over_ = false;
};

// --- The world ---

struct ResilienceWorld::Worker {
  Worker(ResilienceWorld& world, unsigned index)
      : worker(index, std::make_unique<test::SimLoop>(world.network_), world.prng_.Next()),
        metrics(world.metrics_),
        gateway(worker, world.offload_, world.resolver_, metrics, world.access_log_, world.count_, world.cache_,
                nullptr, world.snapshot_) {
    gateway.server().Listen(world.network_.OpenListener(*rt::Address::Parse(kFrontDoor)), true, nullptr);
  }

  rt::Worker worker;
  telemetry::WorkerMetrics metrics;
  Gateway gateway;
};

ResilienceWorld::ResilienceWorld(std::uint64_t seed, std::size_t servers, const std::string& yaml)
    : prng_(seed),
      network_(prng_.Next()),
      registry_(telemetry::GatewayFamilies()),
      metrics_(registry_, std::vector<std::string_view>(Routes().size() + 1, "route"), {"0", "1"},
               registry_.OpenSlab()),
      outside_(kWorkers, std::make_unique<test::SimLoop>(network_), prng_.Next()) {
  for (std::size_t i = 0; i < servers; ++i) {
    const std::string address = "10.1.0." + std::to_string(i + 1) + ":80";
    servers_.push_back(std::make_unique<SimServer>(outside_, network_, *rt::Address::Parse(address)));
  }
  const config::LoadResult loaded = config::LoadText("server: {listeners: [{address: \"" + std::string(kFrontDoor) +
                                                         "\"}], workers: 2}\ncache: {enabled: false}\n" + yaml,
                                                     "penstock.yaml");
  for (const config::Problem& problem : loaded.errors) ADD_FAILURE() << problem.ToString();
  snapshot_ = control::BuildSnapshot(*loaded.config, nullptr, registry_, cache_.epochs).snapshot;
  turned_.push_back(&outside_);
  for (unsigned i = 0; i < kWorkers; ++i) {
    gateway_.push_back(std::make_unique<Worker>(*this, i));
    turned_.push_back(&gateway_.back()->worker);
  }
}

ResilienceWorld::~ResilienceWorld() = default;

void ResilienceWorld::RunFor(Duration time) {
  RunUntil([] { return false; }, time);
}

/// Looks after every turn, not after every round as test::RunWorkers does: when a test sees what it waits for, no other
/// worker's poll has let time go on. The worker outside goes first, so that its loop knows of the new timer.
bool ResilienceWorld::RunUntil(const std::function<bool()>& done, Duration limit) {
  constexpr int kIdleRoundsMax = 100'000;  // rounds at one instant: somebody spins
  bool over = false;
  rt::Timer timer(&over, [](void* flag) { *static_cast<bool*>(flag) = true; });
  outside_.Arm(timer, limit);
  TimePoint last = now();
  for (int rounds_here = 0; rounds_here < kIdleRoundsMax; ++rounds_here) {
    for (rt::Worker* worker : turned_) {
      if (done()) return true;
      if (over) return false;
      worker->RunTurn();
    }
    if (now() != last) rounds_here = 0;
    last = now();
  }
  ADD_FAILURE() << "nothing moves";
  return false;
}

std::size_t ResilienceWorld::Ask(const Wish& wish) {
  std::erase_if(clients_, [](const std::unique_ptr<Client>& client) { return client->over(); });
  Reply& reply = replies_.emplace_back();
  reply.began = outside_.Now();
  reply.tag = wish.tag.empty() ? std::to_string(replies_.size() - 1) : wish.tag;
  ++open_;
  clients_.push_back(std::make_unique<Client>(*this, replies_.size() - 1, wish));
  return replies_.size() - 1;
}

const Reply& ResilienceWorld::AskAndWait(const Wish& wish) {
  const std::size_t index = Ask(wish);
  EXPECT_TRUE(RunUntil([&] { return replies_[index].ended != TimePoint{}; }, std::chrono::minutes(11)));
  return replies_[index];
}

std::size_t ResilienceWorld::attempts() const {
  std::size_t sum = 0;
  for (const auto& server : servers_) sum += server->seen.size();
  return sum;
}

policy::BreakerState ResilienceWorld::breaker(std::size_t endpoint, std::size_t model) const {
  return (*snapshot_->models[model].breakers)[endpoint].state(now());
}

std::size_t ResilienceWorld::exchanges() const {
  std::size_t sum = 0;
  for (const auto& worker : gateway_) sum += worker->gateway.exchanges();
  return sum;
}

}  // namespace penstock::proxy
