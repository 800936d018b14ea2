#pragma once

// A gateway of two workers, servers that behave as they are told and clients, on a simulated clock and network: minutes
// go by in milliseconds, and the same seed gives the same run.

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/cache/shared_cache.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/proxy/gateway.hpp"
#include "penstock/proxy/snapshot.hpp"
#include "penstock/rt/offload.hpp"
#include "support/seed.hpp"
#include "support/sim_loop.hpp"

namespace penstock::proxy {

/// What a server does with one request.
struct Act {
  enum class Kind : std::uint8_t {
    kAnswer,  ///< `tokens` of them, the first after `wait`, the others `gap` apart
    kStatus,  ///< an error of `status`
    kHang,    ///< nothing, ever
    kReset,   ///< of the connection, after `wait`
    kCut,     ///< likewise, after `tokens` tokens
  };
  Kind kind = Kind::kAnswer;
  Duration wait = std::chrono::milliseconds(20);
  int tokens = 3;
  Duration gap = std::chrono::milliseconds(10);
  int status = 500;
  int retry_after_s = 0;  ///< 0: it does not say
  bool stalls = false;    ///< behind the head of a kStatus
};

/// A request as its server saw it.
struct SeenRequest {
  TimePoint at;
  std::optional<TimePoint> given_up;  ///< the gateway left before the answer's end was there
  std::string tag;                    ///< of the request: what its client wrote into `user`
};

/// Owned by one Worker. A server behind the gateway: HTTP/1.1, one request at a time on a connection.
class SimServer final : public rt::AcceptHandler {
 public:
  using Script = std::function<Act(const SeenRequest& seen)>;

  SimServer(rt::Worker& worker, test::SimNetwork& network, const rt::Address& address);
  ~SimServer();

  Script script = [](const SeenRequest&) { return Act{}; };
  std::deque<SeenRequest> seen;  ///< in the order of arrival
  std::size_t active = 0;
  std::size_t most_active = 0;
  const rt::Address address;

  /// How many requests came in [from, to).
  std::size_t Count(TimePoint from, TimePoint to) const;

 private:
  class Peer;
  void OnAccept(std::unique_ptr<rt::Socket> socket) override;
  void OnAcceptError(int) override {}

  rt::Worker& worker_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::unique_ptr<rt::Acceptor> acceptor_;
};

/// What a client asks for.
struct Wish {
  std::string model = "m";
  std::string priority{};  ///< empty: it does not say
  std::string tag{};       ///< empty: its index
  bool stream = true;
  std::optional<Duration> leaves_after{};  ///< it closes its connection then, answered or not
};

/// What became of it.
struct Reply {
  TimePoint began;
  TimePoint ended;
  std::optional<TimePoint> first_content;
  int status = 0;  ///< 0: no answer
  bool whole = false;
  bool left = false;
  int retry_after_s = 0;
  std::string code;  ///< of the error, before commit or in-band
  std::string tag{};
};

/// Owned by one Worker. See above.
class ResilienceWorld {
 public:
  static constexpr unsigned kWorkers = 2;

  /// `yaml`: models and clusters; endpoint i listens at EndpointUrl(i).
  ResilienceWorld(std::uint64_t seed, std::size_t servers, const std::string& yaml);
  ~ResilienceWorld();

  static std::string EndpointUrl(std::size_t i) { return "http://10.1.0." + std::to_string(i + 1) + ":80"; }

  TimePoint now() const { return network_.now(); }
  void RunFor(Duration time);
  /// False: not before `limit` of simulated time went by.
  bool RunUntil(const std::function<bool()>& done, Duration limit);

  /// The index of its reply.
  std::size_t Ask(const Wish& wish = {});
  /// Asks, and runs until there is a reply.
  const Reply& AskAndWait(const Wish& wish = {});
  const Reply& reply(std::size_t index) const { return replies_[index]; }
  const std::deque<Reply>& replies() const { return replies_; }
  bool AllReplied() const { return open_ == 0; }

  SimServer& server(std::size_t i) { return *servers_[i]; }
  std::size_t attempts() const;  ///< that servers saw, all together
  const proxy::Snapshot& snapshot() const { return *snapshot_; }
  policy::BreakerState breaker(std::size_t endpoint, std::size_t model = 0) const;
  upstream::Endpoint& endpoint(std::size_t i, std::size_t cluster = 0) const {
    return *snapshot_->clusters[cluster].endpoints[i];
  }
  ClusterQueue& queue(std::size_t cluster = 0) const { return *snapshot_->clusters[cluster].queue; }
  std::size_t exchanges() const;
  Prng& prng() { return prng_; }
  test::SimNetwork& network() { return network_; }

 private:
  class Client;
  struct Worker;

  Prng prng_;
  test::SimNetwork network_;
  telemetry::MetricRegistry registry_;
  telemetry::GatewayMetrics metrics_;
  telemetry::AccessLog access_log_{nullptr};
  rt::OffloadThreads offload_{1};
  net::Resolver resolver_;
  server::ConnectionCount count_;
  cache::SharedCache cache_;
  std::shared_ptr<const Snapshot> snapshot_;
  rt::Worker outside_;
  std::vector<std::unique_ptr<SimServer>> servers_;
  std::vector<std::unique_ptr<Worker>> gateway_;
  std::vector<rt::Worker*> turned_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::deque<Reply> replies_;
  std::size_t open_ = 0;
};

}  // namespace penstock::proxy
