#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"
#include "penstock/policy/ejection_limit.hpp"
#include "penstock/policy/outcome_window.hpp"

/// An endpoint that fails is left alone for a while, longer each time, and asked again with one request at a time.
///
/// The rules come from Envoy's outlier detection (5 in a row or a share of failures, ejection that grows, a limit on
/// the ejected, a success of the active checks ends an ejection) and from Linkerd's failure accrual (exponential time
/// with jitter, one probe in probation). Unlike HAProxy's `observe layer7` with `error-limit`, ends of requests and
/// active checks do not share one counter: a server whose health path answers may still fail every inference.
namespace penstock::policy {

/// Immutable. A cluster's `circuit_breaker`, with `healthy_after` of its health check. Durations under a century.
struct CircuitBreakerRules {
  std::uint32_t consecutive_failures = 5;  ///< 0 = this rule is off
  double failure_ratio = 0.5;              ///< failures / ends within `window` that open it; 0 = this rule is off
  Duration window = std::chrono::seconds(10);
  std::uint32_t min_requests = 20;          ///< ends within `window` before the ratio means something
  Duration open = std::chrono::seconds(5);  ///< the first time; twice the one before each time after that
  Duration open_max = std::chrono::seconds(30);
  std::uint32_t healthy_after = 2;  ///< good active checks since it opened that end the time at once
  friend bool operator==(const CircuitBreakerRules&, const CircuitBreakerRules&) = default;
};

enum class BreakerState : std::uint8_t {
  kClosed,    ///< traffic flows
  kOpen,      ///< no request
  kHalfOpen,  ///< one request at a time
};

class CircuitBreaker;

/// Owned by one Worker. The leave to make one attempt, and the duty to say how it went: exactly one of the three, or
/// nothing, which is Ignored(). Empty after that; an empty one's words go nowhere.
///
/// A stream may say Success() at its first content: calls last minutes, and an endpoint that answers a probe has proved
/// itself long before its end.
class BreakerPermit {
 public:
  BreakerPermit() = default;
  BreakerPermit(BreakerPermit&& other) noexcept
      : breaker_(std::exchange(other.breaker_, nullptr)), generation_(other.generation_), probe_(other.probe_) {}
  BreakerPermit& operator=(BreakerPermit&& other) noexcept {
    if (this != &other) {
      Ignored();
      breaker_ = std::exchange(other.breaker_, nullptr);
      generation_ = other.generation_;
      probe_ = other.probe_;
    }
    return *this;
  }
  ~BreakerPermit() { Ignored(); }

  void Success(TimePoint now) noexcept;
  /// The endpoint's fault: a 5xx, a reset, silence. `prng` shakes the time when this opens the breaker.
  void Failure(TimePoint now, Prng& prng) noexcept;
  /// Says nothing about the endpoint: a 4xx, a 429, a client that left. A probe is free for the next.
  void Ignored() noexcept;

  bool probe() const noexcept { return probe_; }
  /// What it was taken for may still begin: no failure has opened the breaker since.
  bool Holds() const noexcept;
  explicit operator bool() const noexcept { return breaker_ != nullptr; }

 private:
  friend class CircuitBreaker;
  BreakerPermit(CircuitBreaker* breaker, std::uint64_t generation, bool probe) noexcept
      : breaker_(breaker), generation_(generation), probe_(probe) {}

  CircuitBreaker* breaker_ = nullptr;
  std::uint64_t generation_ = 0;
  bool probe_ = false;
};

/// Shared: atomics that are read without the lock, and a tiny mutex around every change; one object per endpoint and
/// model. Outlives its permits. Allocates nothing.
///
/// * Opens at a failure only: the N-th in a row, or the one at which the ratio over the window is reached. Where the
///   EjectionLimit refuses, it stays closed and asks again at its next failure.
/// * Is open for `open` * 2^(times in a row - 1), at most `open_max`, give or take a tenth (but never above
/// `open_max`),
///   so that endpoints that fell together are not probed together. The times in a row are forgotten once it stayed
///   closed for `open_max`.
/// * After that, or after `healthy_after` good active checks since it opened, is half-open: one probe at a time. The
///   probe's success closes it, its failure opens it again.
/// * Every opening and closing begins a generation. A permit of an earlier one is not heard: a request that began
/// before
///   the breaker opened tells about the past, however late it ends.
class CircuitBreaker {
 public:
  CircuitBreaker(const CircuitBreakerRules& rules, EjectionLimit& limit) noexcept;
  ~CircuitBreaker();
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;

  /// For filtering candidates: would Take() succeed? Takes nothing: probes are taken after selection, else a filter
  /// that looks at every endpoint would use up the probes of those it does not select.
  bool Admits(TimePoint now) const noexcept { return now.ns >= admits_from_ns_.load(std::memory_order_relaxed); }

  /// After selection. None when it is open, or another took the probe meanwhile: the caller selects again.
  std::optional<BreakerPermit> Take(TimePoint now) noexcept;

  /// To be called with every end of an active check while Admits() may be false; costs one load while closed.
  /// `good_in_a_row`: 0 after a bad one. Only checks that ended since it opened count, else the good ones from before
  /// the failures would end every ejection at once.
  void OnActiveChecks(std::uint32_t good_in_a_row) noexcept;

  BreakerState state(TimePoint now) const noexcept;
  /// The end of the last open time, were it not cut short by active checks; TimePoint{0} before the first.
  TimePoint open_until() const noexcept { return TimePoint{open_until_ns_.load(std::memory_order_relaxed)}; }
  std::uint64_t opened_total() const noexcept { return opened_total_.load(std::memory_order_relaxed); }

 private:
  friend class BreakerPermit;

  // admits_from_ns_ is the whole state, so that Admits() is one load. Between the last two: open until then.
  static constexpr std::int64_t kClosed = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kProbeFree = kClosed + 1;  ///< half-open whatever the time
  static constexpr std::int64_t kProbeOut = std::numeric_limits<std::int64_t>::max();

  void OnSuccess(const BreakerPermit& permit, TimePoint now) noexcept;
  void OnFailure(const BreakerPermit& permit, TimePoint now, Prng& prng) noexcept;
  void OnIgnored(const BreakerPermit& permit) noexcept;

  bool Current(const BreakerPermit& permit) const noexcept;
  bool FailsTooOften() const noexcept;
  void Open(TimePoint now, Prng& prng) noexcept;
  void Close(TimePoint now) noexcept;

  // Read for every candidate, written when the state changes.
  alignas(64) std::atomic<std::int64_t> admits_from_ns_{kClosed};
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::int64_t> open_until_ns_{0};
  std::atomic<std::uint64_t> opened_total_{0};
  const CircuitBreakerRules rules_;
  EjectionLimit& limit_;

  // Written at every end.
  alignas(64) std::mutex mutex_;
  OutcomeWindow window_;
  std::uint32_t failures_in_a_row_ = 0;
  std::uint32_t opened_in_a_row_ = 0;
  std::uint32_t checks_since_open_ = 0;
  TimePoint closed_at_;
};

}  // namespace penstock::policy
