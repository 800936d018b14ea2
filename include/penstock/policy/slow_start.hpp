#pragma once

#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Weights are handed to the policies in these fractions, so that a weight of 1 can start slowly too.
inline constexpr std::uint64_t kWeightUnit = 1024;

/// An endpoint that came back has cold caches and a queue of its own making: its weight rises linearly over `window`
/// (HAProxy's `slowstart`, Envoy's slow start with aggression 1), from a tenth (Envoy's `min_weight_percent`), because
/// from 0 it would not begin. In 1 / kWeightUnit; `window` 0 = off; `recovered` 0 = was never away.
constexpr std::uint64_t SlowStartShare(TimePoint recovered, TimePoint now, Duration window) noexcept {
  constexpr std::uint64_t kLeast = kWeightUnit / 10;
  if (window.count() <= 0 || recovered.ns == 0) return kWeightUnit;
  const Duration passed = now - recovered;
  if (passed >= window) return kWeightUnit;
  if (passed.count() <= 0) return kLeast;  // this worker's turn began before the recovery
  const double share = static_cast<double>(passed.count()) / static_cast<double>(window.count());
  const auto units = static_cast<std::uint64_t>(share * static_cast<double>(kWeightUnit));
  return units > kLeast ? units : kLeast;
}

}  // namespace penstock::policy
