#pragma once

#include <memory>
#include <vector>

#include "cache/redis/topology.hpp"
#include "penstock/cache/entry.hpp"

namespace penstock::cache {

class RedisWrite;

/// Owned by one Worker. The SETs of a tier. In a cluster each is kept until its reply, so that it can be sent again
/// where MOVED or ASK points, while what is kept stays within RedisTier::kUnconfirmedMax.
class RedisWrites {
 public:
  explicit RedisWrites(RedisTopology& topology) noexcept;
  ~RedisWrites();
  RedisWrites(const RedisWrites&) = delete;
  RedisWrites& operator=(const RedisWrites&) = delete;

  /// False: it cannot be sent now.
  bool Send(const Digest& digest, const Entry& entry, std::uint64_t ttl_ms);

 private:
  friend class RedisWrite;
  void Release(RedisWrite& write) noexcept;

  RedisTopology& topology_;
  std::vector<std::unique_ptr<RedisWrite>> writes_;  ///< at most as many as were ever in flight at once
  std::vector<RedisWrite*> free_;
  std::size_t kept_ = 0;  ///< bytes
};

}  // namespace penstock::cache
