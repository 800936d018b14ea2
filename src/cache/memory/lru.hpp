#pragma once

#include "cache/memory/eviction_policy.hpp"

namespace penstock::cache {

/// Owned by one shard. Least recently used, kept apart by tenant: the largest tenant's least recent goes first.
class Lru final : public EvictionPolicy {
 public:
  void Admit(Resident& resident) override {
    resident.hits = 0;
    queue_.PushNewest(resident);
  }
  void Touch(Resident& resident) noexcept override {
    resident.hits = 1;
    queue_.MoveToNewest(resident);
  }
  void Forget(Resident& resident, bool) override { queue_.Remove(resident); }
  Resident* Evict() override {
    Resident* const resident = queue_.Oldest();
    if (resident != nullptr) queue_.Remove(*resident);
    return resident;
  }
  void Recost(Resident& resident, std::uint32_t cost) noexcept override { queue_.Recost(resident, cost); }
  bool Proven(const Resident& resident) const noexcept override { return resident.hits > 0; }
  std::size_t bytes() const noexcept override { return sizeof *this; }
  void Resize(std::uint64_t) noexcept override {}

 private:
  FairQueue queue_{0};
};

}  // namespace penstock::cache
