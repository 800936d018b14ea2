#include "penstock/cache/tiers.hpp"

#include <utility>

namespace penstock::cache {
namespace {

constexpr std::size_t kInsertHereMax = 64 * 1024;  // larger entries are compressed, which takes milliseconds

/// Nobody finds a request with that digest: it would be a collision of all bits but three.
Digest DigestOfTwin(Digest digest, Twin which) noexcept {
  digest.bytes.back() ^= static_cast<std::uint8_t>(which);
  return digest;
}

}  // namespace

/// Owned by one Worker. A look-up on the disk: the tier's callback comes sooner or later, the asking task may be gone.
struct Tiers::DiskWait {
  rt::Signal over;
  std::optional<Entry> entry;
  bool answered = false;
  std::shared_ptr<unsigned> overdue;  ///< set when nobody waits any more although nothing came
};

Tiers::Tiers(rt::Worker& worker, rt::OffloadThreads& offload, SharedCache& shared, RedisTier* redis)
    : worker_(worker), offload_(offload), shared_(shared), redis_(redis) {}

std::optional<Entry> Tiers::FindInMemory(const Digest& digest, WallTime now, Counted counted) {
  return shared_.memory == nullptr ? std::nullopt : shared_.memory->Find(digest, now, counted);
}

std::optional<Entry> Tiers::FindTwin(const Digest& digest, const Entry& entry, Twin which, WallTime now) {
  std::optional<Entry> twin = FindInMemory(DigestOfTwin(digest, which), now, Counted::kNone);
  if (twin.has_value() && twin->stored_at.us != entry.stored_at.us) twin.reset();
  return twin;
}

void Tiers::KeepTwin(const Digest& digest, const Entry& twin, Twin which, WallTime now) {
  FillMemory(DigestOfTwin(digest, which), twin, now, shared_.key_purges.load());
}

rt::Task<std::optional<Found>> Tiers::FindBelow(CacheKey key, WallTime now) {
  const std::uint64_t purges = shared_.key_purges.load();
  if (redis_ != nullptr) {
    if (std::optional<Entry> entry = co_await redis_->Find(key.digest, key.scope, now)) {
      if (purges != shared_.key_purges.load()) co_return std::nullopt;
      FillMemory(key.digest, *entry, now, purges);
      co_return Found{std::move(*entry), TierName::kRedis};
    }
  }
  if (shared_.disk != nullptr) {
    if (std::optional<Entry> entry = co_await FindOnDisk(key, now)) {
      if (purges != shared_.key_purges.load()) co_return std::nullopt;
      // Its removal may have failed, on a full disk.
      if (shared_.redis_purges.keys().Outdates(key.digest, entry->purges_heard)) co_return std::nullopt;
      FillMemory(key.digest, *entry, now, purges);
      if (redis_ != nullptr) redis_->Store(key.digest, *entry, now);
      co_return Found{std::move(*entry), TierName::kDisk};
    }
  }
  co_return std::nullopt;
}

rt::Task<std::optional<Entry>> Tiers::FindOnDisk(CacheKey key, WallTime now) {
  if (*disk_overdue_ > 0) co_return std::nullopt;
  auto wait = std::make_shared<DiskWait>();
  const bool asked = shared_.disk->Find(key.digest, key.scope, now, worker_, [wait](std::optional<Entry> entry) {
    if (wait->overdue != nullptr) --*wait->overdue;
    wait->answered = true;
    wait->entry = std::move(entry);
    wait->over.Set();
  });
  if (!asked) co_return std::nullopt;
  rt::Timer patience(wait.get(), [](void* waiting) { static_cast<DiskWait*>(waiting)->over.Set(); });
  worker_.Arm(patience, kDiskWaitMax);
  co_await wait->over;
  if (!wait->answered) {
    wait->overdue = disk_overdue_;
    ++*disk_overdue_;
  }
  co_return std::move(wait->entry);
}

void Tiers::FillMemory(const Digest& digest, const Entry& entry, WallTime now, std::uint64_t purges) {
  if (shared_.memory == nullptr) return;
  auto fill = [&shared = shared_, digest, entry, now, purges] {
    shared.memory->Insert(digest, entry, now);
    // A purge is counted before it erases: one that could not yet find the entry is seen here.
    if (purges != shared.key_purges.load()) shared.memory->Erase(digest);
  };
  if (entry.bytes.size() <= kInsertHereMax || !offload_.Submit(fill)) fill();
}

void Tiers::Store(const CacheKey& key, const Entry& entry, WallTime now, std::uint64_t purges) {
  if (purges != shared_.key_purges.load()) return;
  FillMemory(key.digest, entry, now, purges);
  if (redis_ != nullptr) redis_->Store(key.digest, entry, now);
  if (shared_.disk != nullptr) shared_.disk->Store(key.digest, entry);
  if (purges == shared_.key_purges.load()) return;
  if (redis_ != nullptr) redis_->Remove(key.digest);
  if (shared_.disk != nullptr) shared_.disk->Remove(key.digest, nullptr);
}

}  // namespace penstock::cache
