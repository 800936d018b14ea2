#pragma once

// One worker on a simulated network, Redis servers that do what a test says, and lookups that note when they ended.

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/cache/redis_tier.hpp"
#include "penstock/redis/reply_reader.hpp"
#include "support/seed.hpp"
#include "support/sim_loop.hpp"

namespace penstock::cache {

using namespace std::chrono_literals;
using Words = std::vector<std::string>;

inline std::string Bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

/// A server with a keyspace, a password if wanted, and a script for everything else.
class FakeRedis final : rt::AcceptHandler {
 public:
  FakeRedis(test::SimNetwork& network, rt::Worker& worker, int host)
      : network_(network),
        worker_(worker),
        host_("10.1.0." + std::to_string(host)),
        address_(*rt::Address::FromIp(host_, kPort)),
        timer_(this, [](void* self) { static_cast<FakeRedis*>(self)->SendDue(); }) {
    Start();
  }
  ~FakeRedis() { Kill(); }

  static constexpr std::uint16_t kPort = 6379;
  const std::string& host() const { return host_; }
  std::string url() const { return "redis://" + host_; }

  void Start() {
    fd_ = network_.OpenListener(address_);
    acceptor_ = worker_.loop().Listen(fd_, false, *this);
  }
  /// As by SIGKILL: what stands is reset, what comes is refused.
  void Kill() {
    if (acceptor_ == nullptr) return;
    acceptor_.reset();
    network_.CloseListener(fd_);
    network_.ResetConnections(address_);
    due_.clear();
  }
  /// As by SIGSTOP and SIGCONT: the kernel accepts and takes bytes, nobody reads them.
  void Stop() { stopped_ = true; }
  void Continue() {
    stopped_ = false;
    for (const auto& connection : connections_) connection->Serve();
  }

  int Count(const std::string& command) const {
    const auto found = counts.find(command);
    return found == counts.end() ? 0 : found->second;
  }
  std::size_t open() const { return network_.Connections(address_); }

  std::map<std::string, std::string> keys;
  std::map<std::string, int> counts;
  std::vector<Words> received;
  Duration delay{};      ///< of every reply but those to AUTH, SELECT and PING
  std::string password;  ///< "" = none
  std::function<std::optional<std::string>(const Words&)> script;  ///< a reply of its own, or nothing

 private:
  struct Connection final : rt::SocketHandler {
    Connection(FakeRedis& owner, std::unique_ptr<rt::Socket> accepted) : redis(owner), socket(std::move(accepted)) {
      socket->Start(*this);
    }
    void OnConnected() override {}
    void OnRead(std::string_view bytes) override {
      waiting.append(bytes);
      if (!redis.stopped_) Serve();
    }
    void OnEnd() override { socket->Close(); }
    void OnWritable() override {}
    void OnError(int) override {}
    void Serve() {
      if (waiting.empty()) return;
      EXPECT_TRUE(reader.Feed(std::exchange(waiting, {}))) << reader.refusal();
      redis::Reply command;
      while (reader.Next(command) == redis::ReplyReader::Step::kReply) {
        Words words;
        redis::Reply word = command.First();
        for (std::size_t i = 0; i < command.elements(); ++i) {
          if (i > 0) word = word.Next();
          words.emplace_back(word.text());
        }
        redis.Answer(*this, words);
      }
    }
    void Send(std::string_view bytes) {
      if (!socket->open()) return;
      iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      EXPECT_EQ(socket->Write({&part, 1}), bytes.size());
    }

    FakeRedis& redis;
    std::unique_ptr<rt::Socket> socket;
    redis::ReplyReader reader{redis::ReplyReader::kBulkMax};
    std::string waiting;
    bool allowed = false;
  };
  struct Due {
    TimePoint at;
    Connection* connection;
    std::string bytes;
  };

  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
  }
  void OnAcceptError(int) override {}

  void Answer(Connection& connection, const Words& words) {
    ++counts[words[0]];
    received.push_back(words);
    const bool greeting = words[0] == "AUTH" || words[0] == "SELECT" || words[0] == "PING";
    due_.push_back({worker_.Now() + (greeting ? Duration{} : delay), &connection, ReplyTo(connection, words)});
    SendDue();
  }

  std::string ReplyTo(Connection& connection, const Words& words) {
    if (script) {
      if (auto reply = script(words)) return *reply;
    }
    if (words[0] == "AUTH") {
      connection.allowed = words.back() == password;
      if (password.empty()) {
        return "-ERR AUTH <password> called without any password configured for the default user. Are you sure?\r\n";
      }
      return connection.allowed ? "+OK\r\n" : "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    }
    if (!password.empty() && !connection.allowed) return "-NOAUTH Authentication required.\r\n";
    if (words[0] == "PING") return "+PONG\r\n";
    if (words[0] == "GET") return keys.count(words[1]) > 0 ? Bulk(keys[words[1]]) : "$-1\r\n";
    if (words[0] == "DEL") return ":" + std::to_string(keys.erase(words[1])) + "\r\n";
    if (words[0] == "SET") keys[words[1]] = words[2];
    return "+OK\r\n";
  }

  void SendDue() {
    while (!due_.empty() && due_.front().at <= worker_.Now() && !stopped_) {
      due_.front().connection->Send(due_.front().bytes);
      due_.pop_front();
    }
    if (!due_.empty()) worker_.timers().Arm(timer_, std::max(due_.front().at, worker_.Now() + 1ms));
  }

  test::SimNetwork& network_;
  rt::Worker& worker_;
  const std::string host_;
  const rt::Address address_;
  int fd_ = -1;
  std::unique_ptr<rt::Acceptor> acceptor_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Due> due_;
  rt::Timer timer_;
  bool stopped_ = false;
};

struct NotedEvents final : RedisEvents {
  void OnRedisServer(std::string_view server, RedisTrouble trouble) override {
    said.push_back(std::string(server) + " " + std::string(RedisTroubleName(trouble)));
  }
  std::vector<std::string> said;
};

/// One lookup and how it ended.
struct Lookup {
  bool hit() const { return done && entry.has_value(); }
  bool miss() const { return done && !entry.has_value(); }
  Duration took() const { return ended - began; }

  std::optional<Entry> entry;
  bool done = false;
  TimePoint began{};
  TimePoint ended{};
  rt::Task<void> task;
};

class RedisWorld : public testing::Test {
 protected:
  ~RedisWorld() override {
    lookups.clear();
    tier.reset();
    worker.EmptyGraves();
  }

  template <class Condition>
  bool Until(Condition done, Duration limit = 5s) {
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

  RedisOptions OptionsFor(const Words& urls) {
    RedisOptions options;
    for (const std::string& url : urls) options.urls.push_back(*redis::Url::Parse(url));
    return options;
  }
  void Open(RedisOptions options) { tier = std::make_unique<RedisTier>(worker, resolver, std::move(options), events); }
  bool OpenReady(RedisOptions options) {
    Open(std::move(options));
    return Until([&] { return tier->ready(); });
  }

  static Digest DigestOf(unsigned number) {
    Digest digest;
    for (std::size_t i = 0; i < digest.bytes.size(); ++i)
      digest.bytes[i] = static_cast<std::uint8_t>(number >> (i % 4 * 8));
    return digest;
  }
  static std::string TextOf(unsigned number) { return "answer " + std::to_string(number); }
  Entry EntryOf(unsigned number) const {
    Entry entry;
    entry.bytes = SharedBytes::Copy(TextOf(number));
    entry.scope = scope;
    entry.stored_at = wall;
    entry.expires_at = {wall.us + 300'000'000};
    return entry;
  }
  void Store(unsigned number) { tier->Store(DigestOf(number), EntryOf(number), wall); }
  Lookup& Find(unsigned number) {
    lookups.push_back(std::make_unique<Lookup>());
    Lookup& lookup = *lookups.back();
    lookup.task = Run(lookup, DigestOf(number));
    lookup.task.Start();
    return lookup;
  }
  /// The text found, "" for a miss.
  std::string Found(unsigned number) {
    Lookup& lookup = Find(number);
    EXPECT_TRUE(Until([&] { return lookup.done; }));
    return lookup.entry ? std::string(lookup.entry->bytes.view()) : "";
  }

  test::Seed seed;
  test::SimNetwork network{seed.value()};
  rt::Worker worker{0, std::make_unique<test::SimLoop>(network), seed.value()};
  net::Resolver resolver;
  NotedEvents events;
  FakeRedis server{network, worker, 1};
  std::unique_ptr<RedisTier> tier;
  std::vector<std::unique_ptr<Lookup>> lookups;
  const Scope scope{7, 8};
  WallTime wall{1'700'000'000'000'000};

 private:
  rt::Task<void> Run(Lookup& lookup, Digest digest) {
    lookup.began = worker.Now();
    lookup.entry = co_await tier->Find(digest, scope, wall);
    lookup.ended = worker.Now();
    lookup.done = true;
  }
};

}  // namespace penstock::cache
