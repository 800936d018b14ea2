#pragma once

// A Redis server on the simulated network, as far as the tier needs one. What its scripts do is written here once more:
// the integration tests run the real ones.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "penstock/redis/reply_reader.hpp"
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
  FakeRedis(penstock::test::SimNetwork& network, rt::Worker& worker, int host)
      : network_(network),
        worker_(worker),
        host_("10.1.0." + std::to_string(host)),
        timer_(this, [](void* self) { static_cast<FakeRedis*>(self)->SendDue(); }) {
    AlsoAt(host_);
  }
  ~FakeRedis() { Kill(); }

  static constexpr std::uint16_t kPort = 6379;
  const std::string& host() const { return host_; }
  std::string url() const { return "redis://" + host_; }

  void Start() {
    for (Door& door : doors_) Open(door);
  }
  /// A second address: what goes wrong on the way to one goes well on the way to the other.
  rt::Address AlsoAt(const std::string& host) {
    doors_.push_back({*rt::Address::FromIp(host, kPort), -1, nullptr});
    Open(doors_.back());
    return doors_.back().address;
  }
  /// As by SIGKILL: what stands is reset, what comes is refused.
  void Kill() {
    for (Door& door : doors_) {
      if (door.acceptor == nullptr) continue;
      door.acceptor.reset();
      network_.CloseListener(door.fd);
      network_.ResetConnections(door.address);
    }
    due_.clear();
  }
  /// As by CLIENT KILL: everybody's connection ends.
  void HangUp() {
    for (const auto& connection : connections_) connection->socket->Close();
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
  std::size_t open() const { return network_.Connections(doors_.front().address); }

  /// As PUBLISH does.
  void Publish(const std::string& text) {
    for (const auto& each : connections_) {
      if (each->subscribed) each->Send("*3\r\n" + Bulk("message") + Bulk("penstock:purges") + Bulk(text));
    }
    published.push_back(text);
  }
  bool heard() const {
    return std::any_of(connections_.begin(), connections_.end(), [](const auto& c) { return c->live(); });
  }
  /// As by FLUSHALL.
  void Flush() {
    keys.clear();
    epochs.clear();
    purged.clear();
  }

  std::map<std::string, std::string> keys;
  std::map<std::string, std::uint64_t> epochs;  ///< penstock:epochs
  std::map<std::string, std::uint64_t> purged;  ///< penstock:purged, hexadecimal digests and scores
  std::vector<std::string> published;
  bool writable = true;  ///< false: as maxmemory or a replica
  std::map<std::string, int> counts;
  std::vector<Words> received;
  Duration delay{};      ///< of every reply but those to AUTH, SELECT, PING and SUBSCRIBE
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
    bool live() const { return subscribed && socket->open(); }
    bool allowed = false;
    bool subscribed = false;
  };
  struct Door {
    rt::Address address;
    int fd = -1;
    std::unique_ptr<rt::Acceptor> acceptor;
  };
  struct Due {
    TimePoint at;
    Connection* connection;
    std::string bytes;
  };

  void Open(Door& door) {
    door.fd = network_.OpenListener(door.address);
    door.acceptor = worker_.loop().Listen(door.fd, false, *this);
  }
  void OnAccept(std::unique_ptr<rt::Socket> socket) override {
    connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
  }
  void OnAcceptError(int) override {}

  void Answer(Connection& connection, const Words& words) {
    ++counts[words[0]];
    received.push_back(words);
    const bool greeting = words[0] == "AUTH" || words[0] == "SELECT" || words[0] == "PING" || words[0] == "SUBSCRIBE";
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
    if (words[0] == "PING") return connection.subscribed ? "*2\r\n" + Bulk("pong") + Bulk("") : "+PONG\r\n";
    if (words[0] == "SUBSCRIBE") {
      connection.subscribed = true;
      return "*3\r\n" + Bulk("subscribe") + Bulk(words[1]) + ":1\r\n";
    }
    if (connection.subscribed) return "-ERR Can't execute '" + words[0] + "' in this context\r\n";
    if (words[0] == "HSCAN") return Scan(words);
    if (words[0] == "ZREVRANGEBYSCORE") return RangeOf(words);
    if (words[0] == "EVAL") return words[3] == "penstock:epochs" ? Raise(words) : Purge(words);
    if (words[0] == "GET") return keys.count(words[1]) > 0 ? Bulk(keys[words[1]]) : "$-1\r\n";
    if (words[0] == "DEL") return ":" + std::to_string(keys.erase(words[1])) + "\r\n";
    if (words[0] == "SET") keys[words[1]] = words[2];
    return "+OK\r\n";
  }

  static std::string List(const Words& texts) {
    std::string list = "*" + std::to_string(texts.size()) + "\r\n";
    for (const std::string& text : texts) list += Bulk(text);
    return list;
  }
  /// In pages of two, to show that all are read.
  std::string Scan(const Words& words) {
    const std::size_t from = std::stoul(words[2]);
    Words pairs;
    std::size_t at = 0;
    for (const auto& [name, value] : epochs) {
      if (at++ < from || at > from + 2) continue;
      pairs.insert(pairs.end(), {name, std::to_string(value)});
    }
    return "*2\r\n" + Bulk(from + 2 < epochs.size() ? std::to_string(from + 2) : "0") + List(pairs);
  }
  std::string RangeOf(const Words& words) {
    EXPECT_EQ(words[3].front(), '(');
    std::map<std::uint64_t, std::string, std::greater<>> newest;
    for (const auto& [key, score] : purged) {
      if (score > std::stoull(words[3].substr(1))) newest.emplace(score, key);
    }
    Words pairs;
    std::size_t at = 0;
    for (const auto& [score, key] : newest) {
      if (at++ < std::stoul(words[6]) || at > std::stoul(words[6]) + std::stoul(words[7])) continue;
      pairs.insert(pairs.end(), {key, std::to_string(score)});
    }
    return List(pairs);
  }
  std::string Raise(const Words& words) {
    Words kept;
    for (std::size_t i = 6; i + 1 < words.size(); i += 2) {
      const std::uint64_t there = epochs.contains(words[i]) ? epochs[words[i]] : 0;
      const std::uint64_t value = std::max<std::uint64_t>(there + std::stoull(words[5]), std::stoull(words[i + 1]));
      kept.push_back(std::to_string(value));
      if (value == there) continue;
      Publish("epoch " + words[i] + " " + std::to_string(value));
      if (!writable) return "-NOTSTORED READONLY You can't write against a read only replica.\r\n";
      epochs[words[i]] = value;
    }
    return List(kept);
  }
  std::string Purge(const Words& words) {
    last_score_ = std::max<std::uint64_t>(last_score_, std::stoull(words[6]));
    for (std::size_t i = 7; i < words.size(); ++i) {
      Publish("key " + words[i] + " " + std::to_string(++last_score_));
      purged[words[i]] = last_score_;
    }
    return Bulk(std::to_string(last_score_));
  }

  void SendDue() {
    while (!due_.empty() && due_.front().at <= worker_.Now() && !stopped_) {
      due_.front().connection->Send(due_.front().bytes);
      due_.pop_front();
    }
    if (!due_.empty()) worker_.timers().Arm(timer_, std::max(due_.front().at, worker_.Now() + 1ms));
  }

  penstock::test::SimNetwork& network_;
  rt::Worker& worker_;
  const std::string host_;
  std::vector<Door> doors_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Due> due_;
  rt::Timer timer_;
  std::uint64_t last_score_ = 1'700'000'000'000'000;
  bool stopped_ = false;
};

}  // namespace penstock::cache
