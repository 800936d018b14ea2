#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/digest.hpp"
#include "penstock/base/time.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/redis/url.hpp"

namespace penstock::cache {

enum class RedisMode : std::uint8_t { kSingle, kCluster, kSentinel };

/// CONTRACT `cache.redis`. Redis 5 or later. An ACL must grant AUTH, SELECT, PING, GET, SET, DEL on penstock:*, EVAL,
/// HSCAN and ZREVRANGEBYSCORE on penstock:epochs and penstock:purged with what the scripts call (HGET, HSET, ZADD,
/// ZREVRANGE, ZREMRANGEBYRANK, TIME), PUBLISH and SUBSCRIBE on penstock:purges; in a cluster ASKING and CLUSTER SLOTS.
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
  const net::TlsClientContext* tls = nullptr;  ///< never null with a rediss:// url; without ALPN; outlives the user
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
  kNoSentinel,  ///< what should be a sentinel answers as none does
  kNoMaster,    ///< this sentinel knows no master of the configured name
  kPurges,      ///< purges cannot be read, written or heard there: EVAL or SUBSCRIBE refused, foreign values
};
std::string_view RedisTroubleName(RedisTrouble trouble) noexcept;

/// What a tier or a listener tells the worker that owns it: changes only, never one line per failed call.
class RedisEvents {
 public:
  /// `server` ("host:port") is used from now on (kNone), or is not and why.
  virtual void OnRedisServer(std::string_view server, RedisTrouble trouble) = 0;
  /// Somebody purged this key: to be erased from memory and disk. The same one may come more than once.
  virtual void OnPurgedKey(const Digest& digest) = 0;

 protected:
  ~RedisEvents() = default;
};

}  // namespace penstock::cache
