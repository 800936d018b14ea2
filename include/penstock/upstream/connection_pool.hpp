#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "penstock/base/time.hpp"
#include "penstock/http/h2_memory.hpp"
#include "penstock/http/head.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/upstream/stream.hpp"

namespace penstock::upstream {

class Connection;

enum class PoolProtocol : std::uint8_t { kHttp1, kHttp2, kAlpn };

/// What shapes a pool; CONTRACT `clusters[].connections`, `timeouts.connect`, `endpoints[].tls`.
struct PoolOptions {
  PoolProtocol protocol = PoolProtocol::kHttp1;
  std::uint32_t min = 0;
  std::uint32_t max = 100;
  std::uint32_t max_streams = 100;
  std::uint32_t stream_window = 8 * 1024;  ///< HTTP/2 receive window of a new stream, bytes
  Duration idle_timeout = std::chrono::seconds(55);
  bool idle_by_kind = false;  ///< `auto`: the owner sets idle_timeout anew when it learns the kind
  Duration connect_timeout = std::chrono::seconds(2);  ///< TCP and TLS together
  bool reuse_after_chunked = true;                     ///< false: llama-server closes after every streamed answer
  std::shared_ptr<const net::TlsClientContext> tls;    ///< null = cleartext
  std::string server_name;
};

/// How many connections are in which state: the metric upstream_connections.
struct PoolCounts {
  std::uint32_t connecting = 0;
  std::uint32_t idle = 0;
  std::uint32_t active = 0;
};

/// What a pool tells the worker that owns it; for metrics.
class PoolEvents {
 public:
  virtual void OnConnected(Duration took) = 0;
  virtual void OnConnectFailed(const Error& error) = 0;

 protected:
  ~PoolEvents() = default;
};

/// Owned by one Worker. The connections of one worker to one endpoint, HTTP/1.1 or HTTP/2. Streams that find none wait
/// in order; at most kWaitersMax of them.
class ConnectionPool {
 public:
  static constexpr std::size_t kWaitersMax = 4096;

  ConnectionPool(rt::Worker& worker, http::HeadPool& heads, http::H2Memory& memory, PoolOptions options,
                 PoolEvents& events);
  ~ConnectionPool();
  ConnectionPool(const ConnectionPool&) = delete;
  ConnectionPool& operator=(const ConnectionPool&) = delete;

  /// New connections go to these, in turn; those to other addresses finish what they do. Empty: connecting fails with
  /// upstream_dns. Until the first call streams wait.
  void SetAddresses(std::vector<rt::Address> addresses);
  /// What was learned about the server (kind_quirks.hpp).
  void SetQuirks(Duration idle_timeout, bool reuse_after_chunked);
  /// Begins the exchange; everything else is told to the stream's handler, never from inside this call but
  /// OnRequestSent.
  void Submit(Stream& stream, const Request& request);
  /// No connection that stands now gets another stream; each closes when it is done.
  void Renew();
  /// Renew, and no connection is kept idle from now on: the endpoint has left the configuration.
  void Retire();

  PoolCounts counts() const noexcept;
  /// No connection has room, and until then none is opened, because the peer asked for calm; TimePoint{}: not so.
  TimePoint calm_until() const noexcept {
    return calm_timer_.armed() && ready_.empty() ? calm_timer_.deadline() : TimePoint{};
  }
  std::size_t waiting() const noexcept { return waiting_count_; }

 private:
  friend class Stream;
  friend class Connection;
  friend class H1ClientSession;
  friend class H2ClientSession;

  void Enqueue(Stream& stream, bool front) noexcept;
  void Unlink(Stream& stream) noexcept;
  /// Gives waiting streams to connections with room, and opens what is missing. `fresh`: submitted just now.
  void Pump(const Stream* fresh = nullptr);
  void PumpSoon();
  /// This connection can take a stream.
  void Ready(Connection& connection);
  void Open();
  void Connected(Connection& connection);
  void Failed(Connection& connection, const Error& error);
  void Gone(Connection& connection) noexcept;
  /// A reused connection died before its first byte: once more on a fresh one.
  void Replace(Stream& stream);
  /// Its owner does not want it to be sent any more.
  void Withdraw(Stream& stream);
  void FailWaiting(std::size_t count, const Error& error);
  std::size_t StreamsPerConnection() const noexcept;
  void CancelSurplusConnects();
  /// The peer has had too much (HTTP/2 ENHANCE_YOUR_CALM): no new connection for a while, longer each time (FAULTS
  /// U-20). Streams wait, unless a connection that stands has room.
  void CalmDown();

  rt::Worker& worker_;
  http::HeadPool& heads_;
  http::H2Memory& memory_;
  PoolOptions options_;
  PoolEvents& events_;
  std::vector<rt::Address> addresses_;
  std::size_t next_address_ = 0;
  std::vector<Connection*> connections_;
  std::vector<Connection*> ready_;  ///< with room when listed; the most recently used is last and goes first
  std::size_t connecting_ = 0;
  Stream* first_waiting_ = nullptr;
  Stream* last_waiting_ = nullptr;
  std::size_t waiting_count_ = 0;
  bool http2_seen_ = false;  ///< ALPN chose h2 last time
  bool resolved_ = false;    ///< SetAddresses was called
  bool retired_ = false;
  rt::Timer pump_timer_;  ///< armed: not yet time to open for `min` again
  rt::Timer calm_timer_;  ///< armed: not yet time to open any
  Duration calm_delay_{};
  TimePoint calm_since_{};
  /// Runs Pump at the end of the turn.
  struct PumpLater final : rt::Flushable {
    explicit PumpLater(ConnectionPool& owner) noexcept : pool(owner) {}
    void Flush() override { pool.Pump(); }
    ConnectionPool& pool;
  } pump_{*this};
};

}  // namespace penstock::upstream
