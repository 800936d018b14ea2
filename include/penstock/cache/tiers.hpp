#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "penstock/cache/entry.hpp"
#include "penstock/cache/key.hpp"
#include "penstock/cache/redis_tier.hpp"
#include "penstock/cache/shared_cache.hpp"
#include "penstock/rt/offload.hpp"
#include "penstock/rt/task.hpp"
#include "penstock/rt/worker.hpp"

namespace penstock::cache {

/// From the fastest to the slowest; each is asked only when those before it have nothing.
enum class TierName : std::uint8_t { kMemory, kRedis, kDisk };

struct Found {
  Entry entry;
  TierName tier = TierName::kMemory;
};

/// The ways of saying an answer beside the one in which it is stored.
enum class Twin : std::uint8_t {
  kOtherForm = 1,
  kOtherFormWithUsage,  ///< events, the one that tells the usage among them
  kMessage,             ///< of gRPC: the whole answer
  kMessages,            ///< ... one for each event
  kMessagesWithUsage,
};

/// Owned by one Worker. The tiers as one: what a lower one has fills the upper ones, what is stored goes to all. None
/// of them ever fails a request.
class Tiers {
 public:
  /// A file system that hangs: a look-up waits so long, and as long as one waits in vain no other is begun.
  static constexpr Duration kDiskWaitMax = std::chrono::milliseconds(100);

  /// `redis`: this worker's own, or null. Everything outlives the tiers.
  Tiers(rt::Worker& worker, rt::OffloadThreads& offload, SharedCache& shared, RedisTier* redis);
  Tiers(const Tiers&) = delete;
  Tiers& operator=(const Tiers&) = delete;

  /// A reference to the bytes: nothing is copied or allocated.
  std::optional<Entry> FindInMemory(const Digest& digest, WallTime now, Counted counted = Counted::kAll);
  /// `entry`, which was found under `digest`, said in another way, if KeepTwin() was given that: made once, it serves
  /// all who want it so. In memory only; gone when the entry is another one, or was purged.
  std::optional<Entry> FindTwin(const Digest& digest, const Entry& entry, Twin which, WallTime now);
  void KeepTwin(const Digest& digest, const Entry& twin, Twin which, WallTime now);
  /// Redis, then disk. Destroying the task abandons the look-up.
  rt::Task<std::optional<Found>> FindBelow(CacheKey key, WallTime now);
  /// Writes behind: returns at once; what a tier cannot take now is dropped and counted there. `purges`: the count of
  /// SharedCache::key_purges when the request was looked up; nothing is kept when a key was purged since.
  void Store(const CacheKey& key, const Entry& entry, WallTime now, std::uint64_t purges);

  SharedCache& shared() noexcept { return shared_; }
  const RedisTier* redis() const noexcept { return redis_; }

 private:
  struct DiskWait;
  void FillMemory(const Digest& digest, const Entry& entry, WallTime now, std::uint64_t purges);
  rt::Task<std::optional<Entry>> FindOnDisk(CacheKey key, WallTime now);

  rt::Worker& worker_;
  rt::OffloadThreads& offload_;
  SharedCache& shared_;
  RedisTier* redis_;
  std::shared_ptr<unsigned> disk_overdue_ = std::make_shared<unsigned>(0);
};

}  // namespace penstock::cache
