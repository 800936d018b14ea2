#pragma once

#include <optional>

#include "penstock/base/time.hpp"
#include "penstock/control/resource_files.hpp"

namespace penstock::control {

/// Owned by one Worker. How much of the memory that the process may use is used. With a limit of its own the process is
/// held to that; else to its group's, with what else is in the group, because that is what the kernel kills by; else to
/// what the machine has.
///
/// Asked ten times a second, so it reads no more than it must: limits every ten seconds, a group's pages of files every
/// second, and at once where the answer would be `alarm` or more without them.
class MemoryGauge {
 public:
  static constexpr Duration kLimitsPeriod = std::chrono::seconds(10);
  static constexpr Duration kFilePagesPeriod = std::chrono::seconds(1);

  explicit MemoryGauge(const ResourceFiles& files) : files_(files) {}

  /// 1 = all of it. Nothing: the kernel does not say.
  std::optional<double> Pressure(TimePoint now, std::optional<std::uint64_t> own_limit, double alarm);

 private:
  void ReadLimits(TimePoint now);
  std::uint64_t GroupUse(TimePoint now, double alarm);

  const ResourceFiles& files_;
  TimePoint limits_due_{};
  std::uint64_t installed_ = 0;
  std::optional<MemoryGroup> group_;  ///< that is tighter than the machine
  TimePoint file_pages_due_{};
  std::uint64_t file_bytes_ = 0;
};

}  // namespace penstock::control
