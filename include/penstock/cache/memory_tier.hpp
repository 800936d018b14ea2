#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "penstock/base/digest.hpp"
#include "penstock/base/time.hpp"
#include "penstock/cache/entry.hpp"

namespace penstock::cache {

class MemoryShard;

/// `cache.memory.policy`.
enum class Eviction : std::uint8_t { kS3Fifo, kLru };

/// `cache.memory` with every `auto` decided.
struct MemoryOptions {
  std::uint64_t size_bytes = 0;  ///< of everything the tier holds, overhead included
  std::uint32_t shards = 0;      ///< rounded up to a power of two, at most kMemoryShardsMax
  Eviction policy = Eviction::kS3Fifo;
  std::size_t compress_after = 64 * 1024;  ///< bytes; entries larger than this are kept compressed while cold
};

inline constexpr std::uint32_t kMemoryShardsMax = 256;

/// `shards: auto`: four per worker, so that two workers seldom meet in one, but none so small that an entry of
/// `max_entry` bytes is more than an eighth of it.
std::uint32_t MemoryShardsFor(std::uint64_t size_bytes, unsigned workers, std::size_t max_entry) noexcept;

/// What a purge removes: both absent = everything, both present = that tenant's entries of that model.
struct PurgeScope {
  std::optional<std::uint64_t> tenant;
  std::optional<std::uint64_t> model;
};

/// Counts since the start; `entries` and `bytes` are what is held now. Sums over shards that were looked at one after
/// the other.
struct MemoryUse {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;     ///< the whole tier only
  std::uint64_t evictions = 0;  ///< for room
  std::uint64_t expired = 0;    ///< removed when met after their time
};

struct TenantUse {
  std::uint64_t tenant = 0;
  MemoryUse use{};
};

/// What of a look-up is counted.
enum class Counted : std::uint8_t {
  kAll,
  kHit,   ///< it was looked for before: that it is not there was counted then
  kNone,  ///< it belongs to another look-up
};

/// Shared: cut into 2^n shards by the digest, one mutex each, held for a find and a reference count, or for an
/// insertion and what it evicts; never while memory is copied, compressed or decompressed. All calls from any thread.
///
/// Room. `size_bytes` counts bytes, nodes, tables and what the allocator adds. Which entry goes is the policy's choice
/// (src/cache/memory/eviction_policy.hpp) among those of the tenant that holds most of the queue that must shrink: a
/// tenant loses nothing while another holds over a quarter more of that queue.
///
/// Time. An entry past `expires_at`, or stored over a minute in the future because the clock was set back, is never
/// returned; it is removed when met, or leaves like any other.
///
/// Compression (zstd). An entry larger than `compress_after` that compresses to 7/8 or less is kept compressed. A hit
/// decompresses it outside the mutex; from the second hit on (or the first in S3-FIFO's main queue) the decompressed
/// bytes stay too, and when the policy gives up such an entry, only those go at first: the compressed ones start anew.
class MemoryTier {
 public:
  explicit MemoryTier(const MemoryOptions& options);
  ~MemoryTier();
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  /// A hit on uncompressed bytes costs one reference: no copy, no allocation.
  std::optional<Entry> Find(const Digest& digest, WallTime now, Counted counted = Counted::kAll);

  /// Replaces what stood under the digest. False, and nothing stands there, when the entry is not fresh or larger than
  /// half a shard. Compresses on the calling thread, some 3 ms per MiB: call it where that does not hurt.
  bool Insert(const Digest& digest, Entry entry, WallTime now);

  bool Erase(const Digest& digest);
  /// How many entries went. What is inserted while it runs may stay. Holds no shard's mutex for more than 1,024 buckets.
  std::size_t Clear(const PurgeScope& scope);

  /// Holds no more than `size_bytes` from now on, at most what it was made for; down to nothing at 0, when nothing is
  /// taken either. Gives up what is too much at once, holding no shard's mutex for more than 1,024 entries. From one
  /// thread at a time.
  void Resize(std::uint64_t size_bytes);

  MemoryUse Use() const;
  /// Tenants that hold something, and up to a thousand per shard that did.
  std::vector<TenantUse> TenantsUse() const;
  std::size_t shards() const noexcept { return shards_.size(); }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }  ///< as it was given
  /// As it is now; see Resize.
  std::uint64_t allowed_bytes() const noexcept { return allowed_bytes_.load(std::memory_order_relaxed); }

 private:
  MemoryShard& ShardOf(const Digest& digest) const noexcept { return *shards_[digest.word(0) & (shards_.size() - 1)]; }

  const std::uint64_t size_bytes_;
  std::atomic<std::uint64_t> allowed_bytes_;
  std::size_t compress_after_;
  std::vector<std::unique_ptr<MemoryShard>> shards_;
};

}  // namespace penstock::cache
