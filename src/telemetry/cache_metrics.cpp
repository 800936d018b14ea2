#include "penstock/telemetry/cache_metrics.hpp"

#include "penstock/telemetry/gateway_metrics.hpp"

namespace penstock::telemetry {
namespace {

constexpr std::array<std::string_view, kCacheTiers> kTierNames = {"memory", "redis", "disk"};

std::string_view OutcomeName(CoalescedOutcome outcome) noexcept {
  switch (outcome) {
    case CoalescedOutcome::kDone: return "done";
    case CoalescedOutcome::kUncacheable: return "uncacheable";
    case CoalescedOutcome::kLeaderFailed: return "leader_failed";
    case CoalescedOutcome::kLeaderGone: return "leader_gone";
    case CoalescedOutcome::kTimedOut: return "timed_out";
    case CoalescedOutcome::kCrowded: return "crowded";
  }
  return "other";
}

std::string_view ResultName(LookupResult result) noexcept {
  switch (result) {
    case LookupResult::kHit: return "hit";
    case LookupResult::kMiss: return "miss";
    case LookupResult::kCorrupt: return "corrupt";
    case LookupResult::kFailed: return "failed";
    case LookupResult::kRefused: return "refused";
    case LookupResult::kSkipped: return "skipped";
  }
  return "other";
}

FamilyId Id(Metric metric) { return static_cast<FamilyId>(metric); }

}  // namespace

CacheMetrics::CacheMetrics(MetricRegistry& registry) {
  for (std::size_t tier = 0; tier < kCacheTiers; ++tier) {
    const LabelId name = registry.Pin(kTierNames[tier]);
    for (std::size_t i = 0; i < kLookupResults; ++i) {
      const LabelId result = registry.Pin(ResultName(static_cast<LookupResult>(i)));
      tiers[tier].lookups[i] = registry.GaugeOf({Id(Metric::kCacheLookups), {name, result}});
    }
    tiers[tier].bytes = registry.GaugeOf({Id(Metric::kCacheBytes), {name}});
    tiers[tier].entries = registry.GaugeOf({Id(Metric::kCacheEntries), {name}});
    tiers[tier].evictions = registry.GaugeOf({Id(Metric::kCacheEvictions), {name}});
    tiers[tier].corrupt = registry.GaugeOf({Id(Metric::kCacheCorrupt), {name}});
  }
  for (std::size_t i = 0; i < kCoalescedOutcomes; ++i) {
    const LabelId outcome = registry.Pin(OutcomeName(static_cast<CoalescedOutcome>(i)));
    coalesced[i] = registry.CounterOf({Id(Metric::kCoalesced), {outcome}});
  }
}

}  // namespace penstock::telemetry
