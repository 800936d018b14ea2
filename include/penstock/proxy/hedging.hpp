#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "penstock/config/models.hpp"
#include "penstock/policy/retry_budget.hpp"
#include "penstock/policy/windowed_quantile.hpp"

namespace penstock::proxy {

/// Shared: by its parts. What all workers go by when they hedge a model's streams: its `hedge` (Dean and Barroso, "The
/// Tail at Scale", CACM 56-2, 2013: ask twice when a request has waited longer than 95 % of them do, within a budget).
struct Hedging {
  Hedging(const config::Hedge& rules, std::uint32_t workers)
      : after(rules.after), budget({.ratio = rules.budget, .min = 1, .window = WindowOf(rules.after)}, workers) {}

  /// How long a stream may be without content; nothing: that is not known yet.
  std::optional<Duration> Patience(TimePoint now) noexcept {
    if (after.kind == config::HedgeAfter::Kind::kTime) return after.time;
    return first_tokens.Estimate(now);
  }

  /// Ten seconds, or longer: when a stream is hedged, it must still count.
  static Duration WindowOf(const config::HedgeAfter& after) noexcept {
    return std::max<Duration>(std::chrono::seconds(10), 2 * after.time);
  }

  const config::HedgeAfter after;
  policy::RetryBudget budget;  ///< counts the streams that may be hedged, and pays for those that are
  policy::WindowedQuantile first_tokens{0.95};
};

}  // namespace penstock::proxy
