#include "penstock/policy/retry_budget.hpp"

#include <algorithm>

#include "penstock/base/assert.hpp"

namespace penstock::policy {

namespace {

// 40 bits of slot number are 34 years of kRetryWindowMin's slots; a full count stays full.
constexpr unsigned kCountBits = 24;
constexpr std::uint64_t kCountMax = (std::uint64_t{1} << kCountBits) - 1;

}  // namespace

/// One writer at a time, so a load and a store do.
void RetryBudget::SlotCounts::Add(std::int64_t number) noexcept {
  std::atomic<std::uint64_t>& slot = slots_[static_cast<std::size_t>(number) % slots_.size()];
  const std::uint64_t seen = slot.load(std::memory_order_relaxed);
  const auto wanted = static_cast<std::uint64_t>(number);
  const std::uint64_t count = seen >> kCountBits == wanted ? seen & kCountMax : 0;
  slot.store(wanted << kCountBits | std::min(count + 1, kCountMax), std::memory_order_relaxed);
}

std::uint64_t RetryBudget::SlotCounts::Sum(std::int64_t first, std::int64_t last) const noexcept {
  std::uint64_t sum = 0;
  for (const std::atomic<std::uint64_t>& slot : slots_) {
    const std::uint64_t seen = slot.load(std::memory_order_relaxed);
    const auto number = static_cast<std::int64_t>(seen >> kCountBits);
    if (number >= first && number <= last) sum += seen & kCountMax;
  }
  return sum;
}

RetryBudget::RetryBudget(const RetryBudgetRules& rules, std::uint32_t workers)
    : rules_(rules),
      slot_ns_(rules.window.count() / static_cast<std::int64_t>(kSlots)),
      workers_(workers),
      requests_(std::make_unique<SlotCounts[]>(workers)) {
  PENSTOCK_ASSERT(rules.window >= kRetryWindowMin);
}

void RetryBudget::OnRequest(std::uint32_t worker, TimePoint now) noexcept {
  PENSTOCK_ASSERT(worker < workers_);
  requests_[worker].Add(SlotNumber(now));
}

bool RetryBudget::TryRetry(TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  latest_ = std::max(latest_, now);
  const std::int64_t last = SlotNumber(latest_);
  // Slots that lie in the window whole, but for the one being filled ...
  const std::int64_t whole = last - static_cast<std::int64_t>(kSlots) + 1;
  std::uint64_t requests = 0;
  for (std::uint32_t i = 0; i < workers_; ++i) requests += requests_[i].Sum(whole, last);
  // ... and those of which any part does.
  const std::uint64_t paid = paid_.Sum(whole - 1, last);
  const double earned = rules_.ratio > 0 ? rules_.ratio * static_cast<double>(requests) : 0;
  if (static_cast<double>(paid + 1) <= earned) {
    paid_.Add(last);
    return true;
  }
  if (latest_ - wanted_at_ >= rules_.window) reserve_used_ = 0;
  wanted_at_ = latest_;
  // What was paid may outlive the requests that paid for it, by less than a window: the reserve makes up for that first.
  if (static_cast<double>(paid + reserve_used_ + 1) <= earned + rules_.min) {
    ++reserve_used_;
    return true;
  }
  refused_total_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

}  // namespace penstock::policy
