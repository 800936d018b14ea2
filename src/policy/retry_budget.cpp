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

RetryPromise::~RetryPromise() {
  if (budget_ != nullptr) budget_->Return();
}

bool RetryBudget::TryRetry(TimePoint now, RetryPromise promise) noexcept {
  const std::lock_guard lock(mutex_);
  if (std::exchange(promise.budget_, nullptr) != nullptr) --promised_;
  const std::int64_t last = Advance(now);
  return Spend(Find(last, last, kBefore), last);
}

RetryPromise RetryBudget::Promise(TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  const std::int64_t last = Advance(now);
  if (Find(last, last, kBefore) == Source::kNone) return {};
  ++promised_;
  return RetryPromise(this);
}

bool RetryBudget::TryBeside(TimePoint asked_at, TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  const std::int64_t last = Advance(now);
  const std::int64_t asked = std::clamp(SlotNumber(asked_at), First(last), last);
  return Spend(Find(last, asked, 0), asked);
}

void RetryBudget::Return() noexcept {
  const std::lock_guard lock(mutex_);
  --promised_;
}

std::int64_t RetryBudget::Advance(TimePoint now) noexcept {
  latest_ = std::max(latest_, now);
  return SlotNumber(latest_);
}

/// What would pay for one more up to slot `to`. Requests: of the slots that lie in the window whole, but for the one
/// being filled. Retries: of `before` slots more.
RetryBudget::Source RetryBudget::Find(std::int64_t last, std::int64_t to, std::int64_t before) noexcept {
  std::uint64_t requests = 0;
  for (std::uint32_t i = 0; i < workers_; ++i) requests += requests_[i].Sum(First(last), to);
  const auto wanted = static_cast<double>(paid_.Sum(First(last) - before, to) + promised_ + 1);
  const double earned = rules_.ratio > 0 ? rules_.ratio * static_cast<double>(requests) : 0;
  if (wanted <= earned) return Source::kRatio;
  if (latest_ - wanted_at_ >= rules_.window) reserve_used_ = 0;
  wanted_at_ = latest_;
  // What was paid may outlive the requests that paid for it, by less than a window: the reserve makes up for that first.
  return wanted + reserve_used_ <= earned + rules_.min ? Source::kReserve : Source::kNone;
}

bool RetryBudget::Spend(Source source, std::int64_t slot) noexcept {
  if (source == Source::kRatio) paid_.Add(slot);
  if (source == Source::kReserve) ++reserve_used_;
  return source != Source::kNone;
}

}  // namespace penstock::policy
