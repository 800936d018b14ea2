#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "penstock/cache/flight.hpp"

namespace penstock::cache {

/// Shared: 2^n shards, one mutex each, held for a look-up. Which calls are under way, by the key of the answer that
/// they will give. An entry stands from the moment that a request becomes the leader until its call has ended.
class FlightTable {
 public:
  struct Joined {
    std::shared_ptr<Flight> flight;
    bool leader = false;  ///< the caller: it begins the call, and Remove()s the flight when that has ended
  };

  /// The call for `digest`; a new one when there is none.
  Joined Join(const Digest& digest);
  /// A call that nobody can join.
  std::shared_ptr<Flight> Alone() { return std::make_shared<Flight>(held_); }
  /// From now on nobody joins `flight`. Nothing happens when another one has taken its place.
  void Remove(const Digest& digest, const Flight& flight);
  /// What the call for `digest` will answer is not kept, and nobody joins it any more: a purge.
  void Forbid(const Digest& digest);
  std::size_t size() const;
  /// What the answers of all calls take in memory, until the last who reads one is done. Any thread.
  std::size_t held_bytes() const noexcept { return held_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kShards = 64;  // a power of two; cores are fewer
  struct DigestHash {
    std::size_t operator()(const Digest& digest) const noexcept { return digest.word(1); }
  };
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    std::unordered_map<Digest, std::shared_ptr<Flight>, DigestHash> flights;
  };
  Shard& ShardOf(const Digest& digest) noexcept { return shards_[digest.word(2) & (kShards - 1)]; }

  alignas(64) std::atomic<std::size_t> held_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace penstock::cache
