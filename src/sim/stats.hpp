#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/time.hpp"
#include "penstock/http/head.hpp"
#include "penstock/server/request_handler.hpp"

namespace penstock::sim {

/// How far a request had come when its client left.
enum class Progress : std::uint8_t { kReceiving, kQueued, kWaiting, kStreaming, kSilent };
std::string_view ProgressName(Progress progress) noexcept;

struct Counters {
  std::uint64_t received = 0;   ///< requests read to their end
  std::uint64_t completed = 0;  ///< answers sent to their end as the program wanted, faults included
  std::uint64_t cancelled = 0;  ///< the client left before
  std::uint64_t prompt_tokens = 0;
  std::uint64_t generated_tokens = 0;
};

/// Shared: one mutex per worker's instance, held for a few adds; read by whoever asks for /sim/stats.
class Stats {
 public:
  static constexpr std::size_t kModelsMax = 256;  ///< further models are counted as "other"
  static constexpr std::size_t kCancelsKept = 256;

  struct Cancel {
    std::int64_t at_ns = 0;
    Progress progress = Progress::kReceiving;
    server::Departure departure = server::Departure::kClosed;
    std::string model;
  };
  struct Sum {
    std::map<std::string, Counters, std::less<>> models;
    std::vector<Cancel> cancels;
    std::uint64_t protocol_rejects = 0;
    std::uint64_t connections_killed = 0;
    std::int64_t in_flight = 0;  ///< answers being made
    std::int64_t waiting = 0;    ///< for a slot
  };

  void Received(std::string_view model);
  void Completed(std::string_view model, std::uint32_t prompt_tokens, std::uint32_t generated_tokens);
  void Cancelled(std::string_view model, Progress progress, server::Departure departure, TimePoint now);
  void ProtocolReject();
  void ConnectionKilled();
  void Running(int change);
  void Waiting(int change);

  void AddTo(Sum& sum);
  void Reset();  ///< counts and times; not what is in flight

 private:
  Counters& Of(std::string_view model);

  std::mutex mutex_;
  Sum own_;
};

/// Shared: one mutex per worker's instance. The last requests as they came, for /sim/last. Takes heads and bodies over
/// instead of copying them; must die before the pool its heads came from.
class Recorder {
 public:
  explicit Recorder(std::size_t capacity) : ring_(capacity) {}

  struct Record {
    std::int64_t at_ns = 0;  ///< 0 = empty
    server::Protocol protocol = server::Protocol::kHttp1;
    bool wire = false;
    http::HeadPtr head;
    std::string body;
  };
  /// Swaps head and body with what the ring's oldest place held.
  void Keep(TimePoint now, server::Protocol protocol, bool wire, http::HeadPtr& head, std::string& body);
  /// The records as JSON objects with their times, newest last.
  void AddTo(std::vector<std::pair<std::int64_t, std::string>>& records);
  void Clear();         ///< from any thread: the heads stay, for their pool is another thread's
  void ReleaseHeads();  ///< by the pool's owner

 private:
  std::mutex mutex_;
  std::vector<Record> ring_;
  std::size_t next_ = 0;
};

}  // namespace penstock::sim
