#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "cache/memory/fair_queue.hpp"
#include "penstock/cache/memory_tier.hpp"

namespace penstock::cache {

/// Owned by one shard, under its mutex. Decides which entry goes when bytes are needed; owns the order, not the
/// entries. An entry is with its policy from `Admit` until `Forget` or until `Evict` gives it back. Its digest, holder
/// and cost are set before `Admit`, and its holder outlives its stay.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  virtual void Admit(Resident& resident) = 0;
  virtual void Touch(Resident& resident) noexcept = 0;  ///< a hit
  /// The entry is removed for another reason than room. `replaced`: its digest is about to come back with another
  /// answer, so what it earned may be remembered.
  virtual void Forget(Resident& resident, bool replaced) = 0;
  /// Gives one entry back, null when there is none. Amortised O(1), and never more than kSparedMax steps.
  virtual Resident* Evict() = 0;
  virtual void Recost(Resident& resident, std::uint32_t cost) noexcept = 0;
  /// Proven entries are worth their uncompressed bytes: they were used since they came.
  virtual bool Proven(const Resident& resident) const noexcept = 0;
  virtual std::size_t bytes() const noexcept = 0;  ///< held by the policy itself
  virtual void Resize(std::uint64_t capacity_bytes) noexcept = 0;
};

/// How many entries one eviction may spare for having been used. Without a bound, the first eviction after every entry
/// was hit three times would walk all of them thrice under the mutex.
inline constexpr unsigned kSparedMax = 64;

/// Immutable. One row per policy: a new one is a file in src/cache/memory and a row in eviction_policy.cpp there.
struct EvictionRow {
  Eviction policy;
  std::string_view name;  ///< as `cache.memory.policy` spells it
  std::unique_ptr<EvictionPolicy> (*make)(std::uint64_t capacity_bytes);
};

std::span<const EvictionRow> EvictionPolicies() noexcept;
std::unique_ptr<EvictionPolicy> MakeEvictionPolicy(Eviction policy, std::uint64_t capacity_bytes);

}  // namespace penstock::cache
