#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/memory/digest_table.hpp"
#include "cache/memory/eviction_policy.hpp"
#include "cache/memory/node.hpp"
#include "penstock/cache/memory_tier.hpp"

namespace penstock::cache {

/// A hit whose bytes are compressed.
struct ColdHit {
  SharedBytes packed;  ///< empty: the hit was not cold
  bool keep = false;   ///< give the uncompressed bytes to MemoryShard::Warm
};

/// Shared: one mutex, held by every call for the time of its table and queue work. What leaves the shard is deleted
/// after the mutex is released.
class alignas(64) MemoryShard {
 public:
  MemoryShard(std::uint64_t capacity_bytes, Eviction policy);
  ~MemoryShard();
  MemoryShard(const MemoryShard&) = delete;
  MemoryShard& operator=(const MemoryShard&) = delete;

  /// The entry; without bytes when `cold` has them.
  std::optional<Entry> Find(const Digest& digest, WallTime now, Counted counted, ColdHit& cold);
  /// False when it is too large; what stood under its digest is gone either way.
  bool Insert(NodePtr node, std::uint64_t tenant);
  /// Keeps `bytes` beside `packed`, if that is still what the digest stands for.
  void Warm(const Digest& digest, const SharedBytes& packed, SharedBytes bytes);
  bool Erase(const Digest& digest);
  /// Removes from the next 1,024 buckets after `next`, which it moves on. Call until Done.
  std::size_t ClearSome(const PurgeScope& scope, std::size_t& next, bool& done);

  /// Holds no more than that from now on; gives up at most 1,024 entries per call. Call until true.
  bool Resize(std::uint64_t capacity_bytes);

  void AddUse(MemoryUse& use) const;
  void AddTenants(std::unordered_map<std::uint64_t, MemoryUse>& uses) const;

 private:
  /// Beyond this many records, those of tenants that hold nothing are dropped.
  static constexpr std::size_t kTenantsRemembered = 1024;

  struct Tenant : Holder {
    std::uint64_t id = 0;
    std::uint64_t entries = 0;
    std::uint64_t hits = 0;
    std::uint64_t evictions = 0;
    std::uint64_t expired = 0;
    std::uint64_t bytes() const noexcept { return lanes[0].bytes + lanes[1].bytes; }
  };

  class Retired;

  static Tenant& TenantOf(const Node& node) noexcept { return static_cast<Tenant&>(*node.holder); }
  Tenant& TenantFor(std::uint64_t id);
  std::uint64_t Held() const noexcept;
  /// For room; false: there is nothing left to give up.
  bool EvictOne(Retired& retired);
  void MakeRoom(std::uint64_t cost, Retired& retired);
  void Chill(CompressedNode& node, Retired& retired);
  void Remove(Node& node, bool replaced, Retired& retired);
  void Drop(Node& node, Retired& retired);

  mutable std::mutex mutex_;
  std::uint64_t capacity_;
  DigestTable table_;
  const std::unique_ptr<EvictionPolicy> policy_;
  std::unordered_map<std::uint64_t, Tenant> tenants_;
  std::uint64_t node_bytes_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t misses_ = 0;
  std::uint64_t evictions_ = 0;
  std::uint64_t expired_ = 0;
};

}  // namespace penstock::cache
