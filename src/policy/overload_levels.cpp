#include "penstock/policy/overload_levels.hpp"

namespace penstock::policy {
namespace {

/// What a level adds to those below it.
struct Row {
  Resource resource;
  OverloadLevel level;
  OverloadActions adds;
};

using A = OverloadAction;
constexpr Row kRows[] = {
    {Resource::kMemory, OverloadLevel::kWarning, {A::kShrinkCaches, A::kDisableKeepalive, A::kShedBatch}},
    {Resource::kMemory, OverloadLevel::kCritical, {A::kShedRequests}},
    {Resource::kMemory, OverloadLevel::kExtreme, {A::kStopAccepting, A::kResetStreams}},
    {Resource::kCpu, OverloadLevel::kWarning, {A::kShedBatch}},
    {Resource::kCpu, OverloadLevel::kCritical, {A::kShedRequests}},
    {Resource::kLoopLag, OverloadLevel::kWarning, {A::kShedBatch}},
    {Resource::kLoopLag, OverloadLevel::kCritical, {A::kShedRequests}},
    {Resource::kFds, OverloadLevel::kWarning, {A::kDisableKeepalive}},
    {Resource::kFds, OverloadLevel::kCritical, {A::kStopAccepting}},
};

}  // namespace

OverloadActions ActionsOf(Resource resource, OverloadLevel level) noexcept {
  OverloadActions actions;
  for (const Row& row : kRows) {
    if (row.resource == resource && row.level <= level) actions = actions | row.adds;
  }
  return actions;
}

void ResourceLevel::Update(std::optional<double> pressure) noexcept {
  for (std::size_t i = 0; i < kOverloadThresholds; ++i) {
    const double threshold = rules_.at[i];
    Switch& each = switches_[i];
    if (threshold <= 0) {
      each = {};
      continue;
    }
    if (!pressure.has_value()) continue;
    const bool against = each.on ? *pressure < threshold * kRelease : *pressure >= threshold;
    each.in_a_row = against ? each.in_a_row + 1 : 0;
    if (each.in_a_row < (each.on ? rules_.fall_after : rules_.rise_after)) continue;
    if (against) each = {.on = !each.on, .in_a_row = 0};
  }
}

OverloadLevel ResourceLevel::level() const noexcept {
  for (std::size_t i = kOverloadThresholds; i > 0; --i) {
    if (switches_[i - 1].on) return static_cast<OverloadLevel>(i);
  }
  return OverloadLevel::kCalm;
}

void OverloadLevels::SetRules(const Rules& rules) noexcept {
  for (std::size_t i = 0; i < kResources; ++i) levels_[i].SetRules(rules[i]);
}

void OverloadLevels::Update(const Sample& sample) noexcept {
  for (std::size_t i = 0; i < kResources; ++i) levels_[i].Update(sample[i]);
}

OverloadActions OverloadLevels::actions() const noexcept {
  OverloadActions actions;
  for (std::size_t i = 0; i < kResources; ++i) {
    actions = actions | ActionsOf(static_cast<Resource>(i), levels_[i].level());
  }
  return actions;
}

}  // namespace penstock::policy
