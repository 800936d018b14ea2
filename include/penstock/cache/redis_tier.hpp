#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/digest.hpp"
#include "penstock/cache/entry.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/redis/url.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

class RedisTopology;

enum class RedisMode : std::uint8_t { kSingle, kCluster, kSentinel };

/// CONTRACT `cache.redis`.
struct RedisOptions {
  /// kSingle: the first is the server. kCluster: any nodes, asked for the others. kSentinel: the sentinels; the first
  /// one's database is the master's. Login and TLS of the first hold for every data node that the others name.
  std::vector<redis::Url> urls;
  RedisMode mode = RedisMode::kSingle;
  std::string master;                                         ///< its name among the sentinels
  Duration connect_timeout = std::chrono::milliseconds(100);  ///< TCP, TLS, login and the first PING together
  Duration timeout = std::chrono::milliseconds(20);           ///< of one command
  std::uint32_t in_flight_max = 4096;                         ///< commands without a reply, per connection
  std::size_t entry_max = std::size_t{2} << 20;               ///< bytes of an answer: no larger one is read or stored
  const net::TlsClientContext* tls = nullptr;                 ///< for rediss://; without ALPN; outlives the tier
};

/// Why a server is not used.
enum class RedisTrouble : std::uint8_t {
  kNone,
  kName,        ///< its name has no address
  kConnect,     ///< connect or TLS failed, or the login took too long
  kLogin,       ///< NOAUTH, WRONGPASS, NOPERM
  kNotServing,  ///< LOADING and the like
  kHung,        ///< no reply within `timeout`
  kLost,        ///< reset or closed, again and again
  kGarbage,     ///< not RESP, or beyond a limit
};
std::string_view RedisTroubleName(RedisTrouble trouble) noexcept;

/// What a tier tells the worker that owns it: changes only, never one line per failed call.
class RedisEvents {
 public:
  /// `server` ("host:port") is used from now on (kNone), or is not and why.
  virtual void OnRedisServer(std::string_view server, RedisTrouble trouble) = 0;

 protected:
  ~RedisEvents() = default;
};

/// Counted since the start; a lookup is one of hits, misses, corrupt, failed, refused and skipped.
struct RedisStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;          ///< not there, or not fresh
  std::uint64_t corrupt = 0;         ///< there, but not our envelope or not this key's
  std::uint64_t failed = 0;          ///< sent, but timed out, lost or answered by an error
  std::uint64_t refused = 0;         ///< the pipeline was full
  std::uint64_t skipped = 0;         ///< no connection: the breaker is open, or it is being connected
  std::uint64_t timeouts = 0;        ///< connections dropped because a reply was late
  std::uint64_t garbage = 0;         ///< connections dropped because of what came on them
  std::uint64_t redirects = 0;       ///< MOVED and ASK followed
  std::uint64_t stores = 0;          ///< sent
  std::uint64_t stores_skipped = 0;  ///< not sent: pipeline full, no connection, too large or expired
  std::uint64_t stores_failed = 0;   ///< answered by an error (OOM, READONLY ...)
  std::uint64_t connects = 0;        ///< attempts
};

/// Owned by one Worker. The second tier: entries in Redis, over one pipelined connection per worker and server. Nothing
/// here fails a request: what cannot be had at once or within `timeout` is a miss.
///
/// A connection is used only while every reply comes in time. A late one ends it, and with it all that was sent on it:
/// so no reply can ever be taken for another's. The breaker of a server opens at a late reply, at a failed connect, and
/// at kFailuresMax losses or errors within kFailureWindow; then nothing is sent but, each kProbeInterval, one connect
/// with login and PING, and the first that succeeds closes it.
class RedisTier {
 public:
  static constexpr unsigned kFailuresMax = 5;
  static constexpr Duration kFailureWindow = std::chrono::seconds(1);
  static constexpr Duration kProbeInterval = std::chrono::seconds(1);
  static constexpr std::size_t kUnsentMax = std::size_t{4}
                                            << 20;  ///< bytes; with more waiting to leave nothing is stored
  static constexpr unsigned kRedirectsMax = 2;      ///< MOVED and ASK, per lookup

  RedisTier(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisEvents& events);
  /// Lookups under way end as misses first. Not from inside one that Find() resumes.
  ~RedisTier();
  RedisTier(const RedisTier&) = delete;
  RedisTier& operator=(const RedisTier&) = delete;

  /// The fresh entry under `digest`, when Redis has it. Ends at once when there is no connection or the pipeline is
  /// full. Destroying the task abandons the lookup. The task must not outlive the tier.
  rt::Task<std::optional<Entry>> Find(Digest digest, Scope scope, WallTime now);
  /// Writes behind; what cannot be sent now is dropped and counted.
  void Store(const Digest& digest, const Entry& entry, WallTime now);
  /// Deletes one entry, best effort.
  void Remove(const Digest& digest);

  bool ready() const noexcept;             ///< at least one server is used
  std::size_t in_flight() const noexcept;  ///< commands without a reply
  const RedisStats& stats() const noexcept { return stats_; }

 private:
  RedisOptions options_;
  RedisStats stats_;
  std::unique_ptr<RedisTopology> topology_;
};

}  // namespace penstock::cache
