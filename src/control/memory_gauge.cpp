#include "control/memory_gauge.hpp"

#include <algorithm>

namespace penstock::control {
namespace {

double Share(std::uint64_t used, std::uint64_t of) {
  return of == 0 ? 0 : static_cast<double>(used) / static_cast<double>(of);
}

}  // namespace

void MemoryGauge::ReadLimits(TimePoint now) {
  limits_due_ = now + kLimitsPeriod;
  installed_ = files_.InstalledBytes().value_or(0);
  group_ = files_.TightestGroup();
  if (group_.has_value() && installed_ != 0 && group_->limit >= installed_) group_.reset();
}

std::uint64_t MemoryGauge::GroupUse(TimePoint now, double alarm) {
  const std::uint64_t all = files_.UsedBytes(*group_).value_or(0);
  const auto without = [&] { return all - std::min(all, file_bytes_); };
  if (now >= file_pages_due_ || Share(without(), group_->limit) >= alarm) {
    file_pages_due_ = now + kFilePagesPeriod;
    file_bytes_ = files_.FileBytes(*group_);
  }
  return without();
}

std::optional<double> MemoryGauge::Pressure(TimePoint now, std::optional<std::uint64_t> own_limit, double alarm) {
  const auto resident = files_.ResidentBytes();
  if (!resident.has_value()) return std::nullopt;
  if (own_limit.has_value()) return Share(*resident, *own_limit);
  if (now >= limits_due_) ReadLimits(now);
  if (group_.has_value()) return Share(std::max(*resident, GroupUse(now, alarm)), group_->limit);
  return Share(*resident, installed_);
}

}  // namespace penstock::control
