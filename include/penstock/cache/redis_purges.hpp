#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "penstock/base/digest.hpp"
#include "penstock/cache/epochs.hpp"
#include "penstock/cache/purged_keys.hpp"

namespace penstock::cache {

/// Shared: atomics that lookups read, and a mutex around what is owed. What all tiers of a process must agree on so
/// that nothing purged comes back from Redis: whether its RedisListener hears what others purge, and which purges of
/// its own Redis has not been told yet. One per process, beside its Epochs; outlives listener and tiers.
class RedisPurges {
 public:
  static constexpr std::size_t kOwedMax = 1000;  ///< keys, and names of epochs; with one more, all is purged instead

  explicit RedisPurges(Epochs& epochs) : epochs_(epochs) {}
  RedisPurges(const RedisPurges&) = delete;
  RedisPurges& operator=(const RedisPurges&) = delete;

  Epochs& epochs() noexcept { return epochs_; }
  PurgedKeys& keys() noexcept { return keys_; }
  const PurgedKeys& keys() const noexcept { return keys_; }

  /// Odd while the listener hears; another number after every change. What was read from Redis while it stood at one
  /// odd number is current as long as it stands there.
  std::uint64_t hearing() const noexcept { return hearing_.load(std::memory_order_acquire); }
  static bool Hears(std::uint64_t hearing) noexcept { return hearing % 2 == 1; }
  void SetHearing(bool hears) noexcept;  ///< by the listener only

  /// The newest purge by key that was heard of or read, by its score in Redis: an answer that begins now is newer.
  std::uint64_t heard() const noexcept { return heard_.load(std::memory_order_acquire); }
  void SetHeard(std::uint64_t score) noexcept;

  /// Owned by one Worker. A key whose purge Redis is being told. Going without Settle() leaves it to the next.
  class OwedKey {
   public:
    OwedKey(RedisPurges& purges, const Digest& digest, std::uint64_t number) noexcept
        : purges_(&purges), digest_(digest), number_(number) {}
    OwedKey(OwedKey&& other) noexcept;
    OwedKey& operator=(OwedKey&&) = delete;
    ~OwedKey();
    const Digest& digest() const noexcept { return digest_; }
    void Settle();  ///< Redis knows

   private:
    RedisPurges* purges_;
    const Digest digest_;
    const std::uint64_t number_;
  };
  /// This process purged a key: owed until settled. Nothing: too many are, and `all` was raised and is owed instead.
  std::optional<OwedKey> OweKey(const Digest& digest);
  /// One that nobody is telling now.
  std::optional<OwedKey> TakeOwedKey();
  /// It must not be looked up in Redis.
  bool OwesKey(const Digest& digest) const;

  /// The purges that `name` counts include one that Redis has not been told of. Returns what settles exactly this.
  std::uint64_t OweEpoch(std::string_view name);
  void SettleEpoch(std::string_view name, std::uint64_t number);
  std::map<std::string, std::uint64_t> OwedEpochs() const;

  bool owes() const noexcept { return owed_count_.load(std::memory_order_acquire) != 0; }

 private:
  struct Owed {
    std::uint64_t number;  ///< of the last purge of this key
    bool taken;
  };
  struct HashOfDigest {
    std::size_t operator()(const Digest& digest) const noexcept { return digest.word(0); }
  };
  void EndTelling(const Digest& digest, std::uint64_t number, bool settled);
  void Count() noexcept;  // the mutex is held

  Epochs& epochs_;
  PurgedKeys keys_;
  std::atomic<std::uint64_t> hearing_{0};
  std::atomic<std::uint64_t> heard_{0};
  std::atomic<std::size_t> owed_count_{0};
  mutable std::mutex mutex_;
  std::unordered_map<Digest, Owed, HashOfDigest> owed_keys_;
  std::map<std::string, std::uint64_t, std::less<>> owed_epochs_;
  std::uint64_t last_number_ = 0;
};

}  // namespace penstock::cache
