#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "penstock/base/digest.hpp"

namespace penstock::cache {

struct Holder;

/// Owned by its shard, under the shard's mutex. The part of an entry that an eviction policy sees: who it is, what it
/// costs, where it stands. One cache line, and the first one of a lookup.
struct Resident {
  Digest digest{};
  Resident* older = nullptr;
  Resident* newer = nullptr;
  Holder* holder = nullptr;
  std::uint32_t cost = 0;  ///< bytes, overhead included
  std::uint8_t hits = 0;   ///< S3-FIFO's two bits
  std::uint8_t lane = 0;   ///< which queue it stands in
};

/// Owned by its shard, under the shard's mutex. One tenant's part of one queue, oldest to newest.
struct Lane {
  Resident* oldest = nullptr;
  Resident* newest = nullptr;
  std::uint64_t bytes = 0;
  Lane* next = nullptr;  ///< lanes of about the same size
  Lane* previous = nullptr;
};

inline constexpr std::size_t kLanes = 2;  ///< S3-FIFO's small and main; LRU has one

/// Owned by its shard, under the shard's mutex. What one tenant holds of it. Stays where it is while it holds anything.
struct Holder {
  std::array<Lane, kLanes> lanes{};
};

/// Owned by its policy. A queue that is kept apart by tenant: every entry waits behind its own tenant's entries only,
/// and `Oldest` is the oldest of the tenant that holds most of the queue. So a tenant that floods it pays with its own
/// entries, and nobody loses one while somebody holds over a quarter more: the longest-queue-drop discipline of fair
/// queueing routers (McKenney, "Stochastic Fairness Queueing", 1990; Suter et al., INFOCOM 1998), in bytes. No tenant's
/// share is reserved: what one leaves unused, others use.
///
/// Lanes stand in lists by size, four classes to the octave, so everything is O(1) however many tenants there are; the
/// price is that "most" may be up to a quarter less than the most.
class FairQueue {
 public:
  explicit FairQueue(std::uint8_t lane) noexcept : lane_(lane) {}
  FairQueue(const FairQueue&) = delete;
  FairQueue& operator=(const FairQueue&) = delete;

  void PushNewest(Resident& resident) noexcept;
  void Remove(Resident& resident) noexcept;
  void MoveToNewest(Resident& resident) noexcept;
  void Recost(Resident& resident, std::uint32_t cost) noexcept;

  /// Null when the queue is empty.
  Resident* Oldest() const noexcept;

  std::uint64_t bytes() const noexcept { return bytes_; }
  std::size_t count() const noexcept { return count_; }

 private:
  static constexpr unsigned kClasses = 256;

  static unsigned ClassOf(std::uint64_t bytes) noexcept {
    const unsigned exponent = static_cast<unsigned>(std::bit_width(bytes)) - 1;
    const auto fraction = static_cast<unsigned>(exponent >= 2 ? bytes >> (exponent - 2) : bytes << (2 - exponent)) & 3;
    return 4 * exponent + fraction;
  }
  Lane& LaneOf(Resident& resident) const noexcept { return resident.holder->lanes[lane_]; }
  void Append(Lane& lane, Resident& resident) noexcept;
  void Detach(Lane& lane, Resident& resident) noexcept;
  void Resize(Lane& lane, std::uint64_t bytes) noexcept;
  void Unlist(Lane& lane, unsigned size_class) noexcept;
  void List(Lane& lane, unsigned size_class) noexcept;

  std::uint8_t lane_;
  std::uint64_t bytes_ = 0;
  std::size_t count_ = 0;
  std::array<std::uint64_t, kClasses / 64> occupied_{};
  std::array<Lane*, kClasses> classes_{};
};

}  // namespace penstock::cache
