#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "penstock/base/digest.hpp"
#include "penstock/cache/entry.hpp"
#include "penstock/cache/redis_options.hpp"
#include "penstock/cache/redis_purges.hpp"
#include "penstock/net/resolver.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

/// Counted since the start; a lookup is one of hits, misses, corrupt, failed, refused and skipped.
struct RedisStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;          ///< not there, not fresh, or older than the purge of its key
  std::uint64_t corrupt = 0;         ///< there, but not our envelope or not this key's
  std::uint64_t failed = 0;          ///< sent, but timed out, lost or answered by an error
  std::uint64_t refused = 0;         ///< the pipeline was full
  std::uint64_t skipped = 0;         ///< not used now: the breaker is open, it is being connected, nobody hears purges
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
///
/// Purges go through Redis: the hash `penstock:epochs` (name, decimal), the sorted set `penstock:purged` (digest of a
/// key purged alone, score: Redis' time in microseconds, each above the last) of the PurgedKeys::kMax newest, and the
/// channel `penstock:purges`, on which scripts publish `epoch NAME VALUE` and `key DIGEST SCORE`. The tier is used only
/// while the process' RedisListener hears that channel and both keys were read, and what is higher here was written
/// there, since it began to hear and since the server that holds them was connected. A SET may reach Redis long after
/// the DEL of a purge that came later than it: entries older than the purge of their key are no hits (PurgedKeys).
class RedisTier {
 public:
  static constexpr unsigned kFailuresMax = 5;
  static constexpr Duration kFailureWindow = std::chrono::seconds(1);
  static constexpr Duration kProbeInterval = std::chrono::seconds(1);
  /// Bytes; with more waiting to leave nothing is stored.
  static constexpr std::size_t kUnsentMax = std::size_t{4} << 20;
  /// Bytes of answers kept until Redis has confirmed them, to follow MOVED and ASK; in clusters only. With more a
  /// redirected write is dropped.
  static constexpr std::size_t kUnconfirmedMax = std::size_t{16} << 20;
  static constexpr unsigned kRedirectsMax = 2;  ///< MOVED and ASK, per command

  RedisTier(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisPurges& purges,
            RedisEvents& events);
  /// Lookups and purges under way end as misses and as not told first. Not from inside one that this resumes.
  ~RedisTier();
  RedisTier(const RedisTier&) = delete;
  RedisTier& operator=(const RedisTier&) = delete;

  /// The fresh entry under `digest`, when Redis has it. Ends at once when the tier is not used now or the pipeline is
  /// full. Destroying the task abandons the lookup. The task must not outlive the tier.
  rt::Task<std::optional<Entry>> Find(Digest digest, Scope scope, WallTime now);
  /// Writes behind; what cannot be sent now is dropped and counted.
  void Store(const Digest& digest, const Entry& entry, WallTime now);
  /// Deletes one entry, best effort.
  void Remove(const Digest& digest);

  /// The epoch `name` was raised to `value` here: makes it at least that in Redis, and more than it was there, so that
  /// two purges at once are two; tells everybody. False: Redis was not reached, and is told before any tier of this
  /// process uses it again. The task must not outlive the tier.
  rt::Task<bool> PublishEpoch(std::string name, std::uint64_t value);
  /// Deletes the entry and tells everybody. False: not reached; the key is not looked up until Redis was told. The
  /// events hear of the key at once. The task must not outlive the tier.
  rt::Task<bool> PurgeKey(Digest digest);

  bool ready() const noexcept;             ///< lookups and stores are sent now
  std::size_t in_flight() const noexcept;  ///< commands without a reply
  const RedisStats& stats() const noexcept { return stats_; }

 private:
  struct Parts;

  RedisOptions options_;
  RedisStats stats_;
  RedisPurges& purges_;
  RedisEvents& events_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace penstock::cache
