#pragma once

#include <optional>

#include "cache/redis/call.hpp"
#include "cache/redis/key.hpp"
#include "penstock/cache/entry.hpp"
#include "penstock/cache/purged_keys.hpp"

namespace penstock::cache {

/// Owned by one Worker. One GET under way; lives in the frame of RedisTier::Find().
class RedisLookup final : private RedisCall {
 public:
  RedisLookup(RedisTopology& topology, const PurgedKeys& purged, const Digest& digest, const Scope& scope,
              WallTime now) noexcept;

  /// False: nothing was sent, done() will not come.
  bool Begin();
  rt::Signal& done() noexcept { return done_; }
  std::optional<Entry>& entry() noexcept { return entry_; }

 private:
  void Append(Chain& out) override;
  void OnAnswer(const redis::Reply& reply) override;
  void OnNoAnswer() override;
  void Take(std::string_view bytes);

  const PurgedKeys& purged_;
  const Digest digest_;
  const RedisKey key_;
  const Scope scope_;
  const WallTime now_;
  std::optional<Entry> entry_;
  rt::Signal done_;
};

}  // namespace penstock::cache
