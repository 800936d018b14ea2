#include "penstock/cache/memory_tier.hpp"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <utility>

#include "cache/memory/compression.hpp"
#include "cache/memory/memory_shard.hpp"

namespace penstock::cache {

std::uint32_t MemoryShardsFor(std::uint64_t size_bytes, unsigned workers, std::size_t max_entry) noexcept {
  std::uint32_t shards = std::bit_ceil(std::clamp(4 * workers, 1u, kMemoryShardsMax));
  while (shards > 1 && size_bytes / shards < 8 * std::uint64_t{max_entry}) shards /= 2;
  return shards;
}

MemoryTier::MemoryTier(const MemoryOptions& options)
    : size_bytes_(options.size_bytes), allowed_bytes_(options.size_bytes), compress_after_(options.compress_after) {
  const std::uint32_t shards = std::bit_ceil(std::clamp(options.shards, 1u, kMemoryShardsMax));
  for (std::uint32_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<MemoryShard>(options.size_bytes / shards, options.policy));
  }
}

MemoryTier::~MemoryTier() = default;

std::optional<Entry> MemoryTier::Find(const Digest& digest, WallTime now, Counted counted) {
  MemoryShard& shard = ShardOf(digest);
  ColdHit cold;
  std::optional<Entry> entry = shard.Find(digest, now, counted, cold);
  if (cold.packed.empty()) return entry;
  entry->bytes = Decompress(cold.packed);
  if (entry->bytes.empty()) {  // memory that lost its mind: never serve it
    shard.Erase(digest);
    return std::nullopt;
  }
  if (cold.keep) shard.Warm(digest, cold.packed, entry->bytes);
  return entry;
}

bool MemoryTier::Insert(const Digest& digest, Entry entry, WallTime now) {
  MemoryShard& shard = ShardOf(digest);
  if (!entry.fresh(now)) {
    shard.Erase(digest);
    return false;
  }
  SharedBytes packed;
  if (entry.bytes.size() > compress_after_) packed = Compress(entry.bytes);
  const std::uint64_t tenant = entry.scope.tenant;
  return shard.Insert(MakeNode(digest, std::move(entry), std::move(packed)), tenant);
}

bool MemoryTier::Erase(const Digest& digest) { return ShardOf(digest).Erase(digest); }

std::size_t MemoryTier::Clear(const PurgeScope& scope) {
  std::size_t removed = 0;
  for (const auto& shard : shards_) {
    std::size_t next = 0;
    for (bool done = false; !done;) removed += shard->ClearSome(scope, next, done);
  }
  return removed;
}

void MemoryTier::Resize(std::uint64_t size_bytes) {
  const std::uint64_t allowed = std::min(size_bytes, size_bytes_);
  allowed_bytes_.store(allowed, std::memory_order_relaxed);
  for (const auto& shard : shards_) {
    while (!shard->Resize(allowed / shards_.size())) {}
  }
}

MemoryUse MemoryTier::Use() const {
  MemoryUse use;
  for (const auto& shard : shards_) shard->AddUse(use);
  return use;
}

std::vector<TenantUse> MemoryTier::TenantsUse() const {
  std::unordered_map<std::uint64_t, MemoryUse> uses;
  for (const auto& shard : shards_) shard->AddTenants(uses);
  std::vector<TenantUse> rows;
  rows.reserve(uses.size());
  for (const auto& [tenant, use] : uses) rows.push_back({tenant, use});
  std::ranges::sort(rows, {}, &TenantUse::tenant);
  return rows;
}

}  // namespace penstock::cache
