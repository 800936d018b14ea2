#include "cache/memory/eviction_policy.hpp"

#include <array>

#include "cache/memory/lru.hpp"
#include "cache/memory/s3_fifo.hpp"
#include "penstock/base/assert.hpp"

namespace penstock::cache {

std::span<const EvictionRow> EvictionPolicies() noexcept {
  static constexpr std::array kRows = {
      EvictionRow{
          Eviction::kS3Fifo, "s3fifo",
          [](std::uint64_t capacity) -> std::unique_ptr<EvictionPolicy> { return std::make_unique<S3Fifo>(capacity); }},
      EvictionRow{Eviction::kLru, "lru",
                  [](std::uint64_t) -> std::unique_ptr<EvictionPolicy> { return std::make_unique<Lru>(); }},
  };
  return kRows;
}

std::unique_ptr<EvictionPolicy> MakeEvictionPolicy(Eviction policy, std::uint64_t capacity_bytes) {
  for (const EvictionRow& row : EvictionPolicies()) {
    if (row.policy == policy) return row.make(capacity_bytes);
  }
  PENSTOCK_ASSERT(false);
  return nullptr;
}

}  // namespace penstock::cache
