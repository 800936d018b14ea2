#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "penstock/base/time.hpp"

namespace penstock::policy {

/// Immutable. A cluster's `retry.budget`.
struct RetryBudgetRules {
  double ratio = 0.2;
  std::uint32_t min = 3;
  Duration window = std::chrono::seconds(10);  ///< at least kRetryWindowMin
};

inline constexpr Duration kRetryWindowMin = std::chrono::milliseconds(20);

class RetryBudget;

/// Owned by one Worker. A retry that its budget keeps for somebody who waits before he makes it; given back when it
/// dies unspent.
class RetryPromise {
 public:
  RetryPromise() = default;
  RetryPromise(RetryPromise&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)) {}
  RetryPromise& operator=(RetryPromise&& other) noexcept {
    std::swap(budget_, other.budget_);
    return *this;
  }
  ~RetryPromise();
  explicit operator bool() const noexcept { return budget_ != nullptr; }

 private:
  friend class RetryBudget;
  explicit RetryPromise(RetryBudget* budget) noexcept : budget_(budget) {}
  RetryBudget* budget_ = nullptr;
};

/// Shared: a padded count per worker with a single writer each, and a mutex that only retries take; one object per
/// cluster. What keeps a cluster that fails from being asked twice as often.
///
/// Whenever a retry is let go: retries <= ratio * requests + min, itself included, over the `window` that ends with it.
/// (So over any window at all, with the requests of the window before it added. A rule that held for windows which
/// begin after the requests that paid could never let more than `min` go at once, and one dead server with many
/// requests waits for more.) The idea is Finagle's RetryBudget (ratio of the requests of the last 10 s, and a reserve);
/// what differs:
/// * counting errs on the safe side: the window moves in slots, and at its old end requests are forgotten a slot too
///   early and retries a slot too late, so the rule above is exact, not about;
/// * the reserve `min` is whole again when nobody has wanted more than the ratio for a `window`. It is not renewed
/// while
///   an outage lasts: attempts stay at (1 + ratio) * requests + min over all of it (FAULTS U-31).
class RetryBudget {
 public:
  RetryBudget(const RetryBudgetRules& rules, std::uint32_t workers);
  RetryBudget(const RetryBudget&) = delete;
  RetryBudget& operator=(const RetryBudget&) = delete;

  /// A request makes its first attempt. Called by `worker` (from 0) alone; one plain add, no lock prefix.
  void OnRequest(std::uint32_t worker, TimePoint now) noexcept;

  /// Takes one retry, if there is one. Asked last, when everything else allows the retry: what it gave is spent.
  /// `promise`: this budget's, and given up whatever the answer. It may be no then, too, when requests became fewer
  /// during the wait: the rule is about when retries are made.
  bool TryRetry(TimePoint now, RetryPromise promise = {}) noexcept;
  /// Before a wait that ends in a retry; empty: there is none, and no sense in waiting.
  RetryPromise Promise(TimePoint now) noexcept;
  /// Takes one for a second attempt beside one that began at `asked_at`. It counts as of then, against the requests up
  /// to then: it is forgotten with the request that pays for it, so a ratio of 1 refuses nobody. Younger than half of
  /// the window, or few requests are left that count.
  bool TryBeside(TimePoint asked_at, TimePoint now) noexcept;

 private:
  friend class RetryPromise;
  static constexpr std::size_t kSlots = 20;  ///< per window: 5 % of the requests are forgotten too early

  /// Shared: one writer at a time, any readers. Counts by slot of time. A slot's number and its count share one word,
  /// so that a reader never sees the count of one with the number of another.
  class alignas(64) SlotCounts {
   public:
    void Add(std::int64_t number) noexcept;
    std::uint64_t Sum(std::int64_t first, std::int64_t last) const noexcept;

   private:
    std::array<std::atomic<std::uint64_t>, kSlots + 1> slots_{};
  };

  enum class Source : std::uint8_t { kNone, kRatio, kReserve };
  static constexpr std::int64_t kBefore = 1;  ///< the slot of which the window has a part
  static constexpr std::int64_t First(std::int64_t last) noexcept {
    return last - static_cast<std::int64_t>(kSlots) + 1;
  }
  std::int64_t Advance(TimePoint now) noexcept;
  Source Find(std::int64_t last, std::int64_t to, std::int64_t before) noexcept;
  bool Spend(Source source, std::int64_t slot) noexcept;
  void Return() noexcept;
  std::int64_t SlotNumber(TimePoint now) const noexcept { return now.ns > 0 ? now.ns / slot_ns_ : 0; }

  const RetryBudgetRules rules_;
  const std::int64_t slot_ns_;
  const std::uint32_t workers_;
  const std::unique_ptr<SlotCounts[]> requests_;  ///< one per worker

  std::mutex mutex_;
  SlotCounts paid_;      ///< retries that the ratio allowed
  TimePoint latest_;     ///< workers read their clocks apart; time does not go back here
  TimePoint wanted_at_;  ///< when the ratio was last not enough
  std::uint32_t reserve_used_ = 0;
  std::uint32_t promised_ = 0;
};

}  // namespace penstock::policy
