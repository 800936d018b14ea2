#pragma once

#include "cache/memory/eviction_policy.hpp"
#include "cache/memory/ghost_set.hpp"

namespace penstock::cache {

/// Owned by one shard. S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction",
/// SOSP 2023). Most answers are never asked for again; so a new one waits in a small queue, a tenth of the bytes, and
/// only if it was asked for there does it enter the main one. What leaves the small queue unused is remembered by its
/// digest for as many evictions as the main queue has entries: coming back, it enters the main queue at once. At the
/// end of the main queue an entry that was used goes round again, each time for one of the hits counted, at most three.
/// A hit changes two bits and moves nothing.
///
/// Ours: both queues are kept apart by tenant (FairQueue). Prompts that are asked for once, however many, compete for
/// the small queue alone, and there with the flooding tenant's own first; to push others out of the main queue a tenant
/// must be served from it, and then only down to equal parts.
class S3Fifo final : public EvictionPolicy {
 public:
  explicit S3Fifo(std::uint64_t capacity_bytes) noexcept : small_target_(capacity_bytes / kSmallPart) {}

  void Admit(Resident& resident) override;
  void Touch(Resident& resident) noexcept override {
    if (resident.hits < kHitsMax) ++resident.hits;
  }
  void Forget(Resident& resident, bool replaced) override;
  Resident* Evict() override;
  void Recost(Resident& resident, std::uint32_t cost) noexcept override { QueueOf(resident).Recost(resident, cost); }
  bool Proven(const Resident& resident) const noexcept override { return resident.lane == kMain || resident.hits > 0; }
  std::size_t bytes() const noexcept override { return sizeof *this + ghost_.bytes(); }
  void Resize(std::uint64_t capacity_bytes) noexcept override { small_target_ = capacity_bytes / kSmallPart; }

 private:
  static constexpr std::uint8_t kSmall = 0;
  static constexpr std::uint8_t kMain = 1;
  static constexpr std::uint64_t kSmallPart = 10;
  static constexpr std::uint8_t kHitsMax = 3;
  static constexpr std::uint8_t kPromotedAt = 1;  ///< hits in the small queue

  FairQueue& QueueOf(const Resident& resident) noexcept { return resident.lane == kSmall ? small_ : main_; }

  std::uint64_t small_target_;
  FairQueue small_{kSmall};
  FairQueue main_{kMain};
  GhostSet ghost_;
};

}  // namespace penstock::cache
