#include "penstock/policy/circuit_breaker.hpp"

#include <algorithm>

#include "penstock/base/assert.hpp"

namespace penstock::policy {

namespace {

constexpr std::int64_t kJitterPart = 10;  // of the open time, either way

/// `rules.open` doubled for each opening in a row after the first, saturating, with jitter.
Duration OpenTime(const CircuitBreakerRules& rules, std::uint32_t opened_in_a_row, Prng& prng) noexcept {
  const std::uint32_t doublings = std::min(opened_in_a_row - 1, 62u);
  const std::int64_t max = std::max<std::int64_t>(rules.open_max.count(), 0);
  const std::int64_t first = std::max<std::int64_t>(rules.open.count(), 0);
  const std::int64_t time = first > (max >> doublings) ? max : first << doublings;
  const std::int64_t low = time - time / kJitterPart;
  const std::int64_t high = std::min(time + time / kJitterPart, max);
  return Duration(low + static_cast<std::int64_t>(prng.Below(static_cast<std::uint64_t>(high - low) + 1)));
}

}  // namespace

void BreakerPermit::Success(TimePoint now) noexcept {
  if (breaker_ != nullptr) std::exchange(breaker_, nullptr)->OnSuccess(*this, now);
}

void BreakerPermit::Failure(TimePoint now, Prng& prng) noexcept {
  if (breaker_ != nullptr) std::exchange(breaker_, nullptr)->OnFailure(*this, now, prng);
}

void BreakerPermit::Ignored() noexcept {
  if (breaker_ != nullptr) std::exchange(breaker_, nullptr)->OnIgnored(*this);
}

bool BreakerPermit::Holds() const noexcept {
  return breaker_ == nullptr || probe_ ||
         breaker_->admits_from_ns_.load(std::memory_order_relaxed) == CircuitBreaker::kClosed;
}

CircuitBreaker::CircuitBreaker(const CircuitBreakerRules& rules, EjectionLimit& limit) noexcept
    : rules_(rules), limit_(limit), window_(rules.window) {}

CircuitBreaker::~CircuitBreaker() {
  if (admits_from_ns_.load(std::memory_order_relaxed) != kClosed) limit_.Return();
}

// Relaxed throughout: no other memory hangs on these two. A permit of the closed state counts only while the generation
// it read goes on, and who read that generation took its permit within it; a stale read makes a permit nobody hears.
std::optional<BreakerPermit> CircuitBreaker::Take(TimePoint now) noexcept {
  const std::uint64_t generation = generation_.load(std::memory_order_relaxed);
  if (admits_from_ns_.load(std::memory_order_relaxed) == kClosed) return BreakerPermit(this, generation, false);
  const std::lock_guard lock(mutex_);
  const std::int64_t from = admits_from_ns_.load(std::memory_order_relaxed);
  if (from != kClosed) {
    if (now.ns < from) return std::nullopt;
    admits_from_ns_.store(kProbeOut, std::memory_order_relaxed);
  }
  return BreakerPermit(this, generation_.load(std::memory_order_relaxed), from != kClosed);
}

void CircuitBreaker::OnActiveChecks(std::uint32_t good_in_a_row) noexcept {
  if (admits_from_ns_.load(std::memory_order_relaxed) == kClosed) return;
  const std::lock_guard lock(mutex_);
  const std::int64_t from = admits_from_ns_.load(std::memory_order_relaxed);
  if (from == kClosed || from == kProbeFree || from == kProbeOut) return;
  ++checks_since_open_;
  if (std::min(good_in_a_row, checks_since_open_) < std::max(rules_.healthy_after, 1u)) return;
  admits_from_ns_.store(kProbeFree, std::memory_order_relaxed);
}

BreakerState CircuitBreaker::state(TimePoint now) const noexcept {
  const std::int64_t from = admits_from_ns_.load(std::memory_order_relaxed);
  if (from == kClosed) return BreakerState::kClosed;
  return from == kProbeOut || now.ns >= from ? BreakerState::kHalfOpen : BreakerState::kOpen;
}

/// While a probe is out nothing else changes the state, so a probe is always of this generation.
bool CircuitBreaker::Current(const BreakerPermit& permit) const noexcept {
  const bool current = permit.generation_ == generation_.load(std::memory_order_relaxed);
  PENSTOCK_ASSERT(current || !permit.probe_);
  return current && (permit.probe_ || admits_from_ns_.load(std::memory_order_relaxed) == kClosed);
}

void CircuitBreaker::OnSuccess(const BreakerPermit& permit, TimePoint now) noexcept {
  const std::lock_guard lock(mutex_);
  if (!Current(permit)) return;
  if (permit.probe_) {
    Close(now);
    return;
  }
  failures_in_a_row_ = 0;
  window_.Add(now, false);
}

void CircuitBreaker::OnFailure(const BreakerPermit& permit, TimePoint now, Prng& prng) noexcept {
  const std::lock_guard lock(mutex_);
  if (!Current(permit)) return;
  if (permit.probe_) {
    Open(now, prng);  // its place among the ejected is still taken
    return;
  }
  if (failures_in_a_row_ != std::numeric_limits<std::uint32_t>::max()) ++failures_in_a_row_;
  window_.Add(now, true);
  if (!FailsTooOften()) return;
  if (!limit_.TryEject()) return;
  if (now - closed_at_ >= rules_.open_max) opened_in_a_row_ = 0;
  Open(now, prng);
}

void CircuitBreaker::OnIgnored(const BreakerPermit& permit) noexcept {
  if (!permit.probe_) return;
  const std::lock_guard lock(mutex_);
  if (Current(permit)) admits_from_ns_.store(kProbeFree, std::memory_order_relaxed);
}

bool CircuitBreaker::FailsTooOften() const noexcept {
  if (rules_.consecutive_failures != 0 && failures_in_a_row_ >= rules_.consecutive_failures) return true;
  return rules_.failure_ratio > 0 && window_.ended() >= rules_.min_requests &&
         window_.failed() >= rules_.failure_ratio * window_.ended();
}

void CircuitBreaker::Open(TimePoint now, Prng& prng) noexcept {
  if (opened_in_a_row_ != std::numeric_limits<std::uint32_t>::max()) ++opened_in_a_row_;
  const TimePoint until = now + OpenTime(rules_, opened_in_a_row_, prng);
  checks_since_open_ = 0;
  generation_.fetch_add(1, std::memory_order_relaxed);
  opened_total_.fetch_add(1, std::memory_order_relaxed);
  open_until_ns_.store(until.ns, std::memory_order_relaxed);
  admits_from_ns_.store(until.ns, std::memory_order_relaxed);
}

void CircuitBreaker::Close(TimePoint now) noexcept {
  window_.Clear();
  failures_in_a_row_ = 0;
  closed_at_ = now;
  generation_.fetch_add(1, std::memory_order_relaxed);
  admits_from_ns_.store(kClosed, std::memory_order_relaxed);
  limit_.Return();
}

}  // namespace penstock::policy
