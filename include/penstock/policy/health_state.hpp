#pragma once

#include <cstdint>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// How an active check of an endpoint ended.
enum class ProbeResult : std::uint8_t {
  kOk,
  kFail,     ///< refused, reset, or a status that says no
  kTimeout,  ///< no answer in time
};

enum class Health : std::uint8_t {
  kUnknown,  ///< not checked yet; usable, because a start must not wait for the first round
  kHealthy,
  kUnhealthy,
};

/// `health_check` of a cluster.
struct HealthThresholds {
  std::uint32_t unhealthy_after = 3;  ///< bad checks in a row
  std::uint32_t healthy_after = 2;    ///< good checks in a row, to come back
};

/// Owned by one Worker. The one that probes. An endpoint's health from its active checks.
///
/// A server that is busy answers its health path late: llama-server's was seen to stall for a whole
/// generation. So a timeout is no evidence at all when requests on that endpoint made progress since the
/// probe began: it neither counts nor breaks a streak. A refusal counts in any case.
class HealthState {
 public:
  explicit HealthState(HealthThresholds thresholds) noexcept : thresholds_(thresholds) {}

  /// A probe that began at `began` ended. `last_progress` is EndpointLoad::last_progress(). Returns whether
  /// usable() changed.
  bool OnProbe(ProbeResult result, TimePoint began, TimePoint last_progress) noexcept;

  Health health() const noexcept { return health_; }
  bool usable() const noexcept { return health_ != Health::kUnhealthy; }
  std::uint32_t good_in_a_row() const noexcept { return good_; }  ///< up to `healthy_after`

 private:
  void OnGood() noexcept;
  void OnBad() noexcept;

  HealthThresholds thresholds_;
  std::uint32_t good_ = 0;  ///< in a row
  std::uint32_t bad_ = 0;   ///< in a row
  Health health_ = Health::kUnknown;
};

}  // namespace penstock::policy
