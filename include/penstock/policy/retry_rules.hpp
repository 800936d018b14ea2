#pragma once

#include <bitset>
#include <cstdint>

#include "penstock/base/error.hpp"
#include "penstock/base/retry_reason.hpp"

/// May a failed attempt be followed by another? The safe-retry rule: only before commit; only what the
/// upstream provably did not process or itself refused; what it may have processed (unproven: a reset after
/// the request was written, silence) once at most, pooled connections that are replaced unseen not counted, and only
/// where the operator allows, because an inference has no side effect but its cost. A retry budget and a backoff, where
/// configured, are asked after this rule said yes; breakers and rest periods act on the choice of the next endpoint.
namespace penstock::policy {

/// Immutable. Once built: `retry.on`, the failure classes and the statuses that count as the upstream's refusal.
class RetryOn {
 public:
  bool connect = true;
  bool reset = true;
  bool timeout = true;

  void AddStatus(std::uint16_t status) noexcept;  ///< 100 to 599; others are ignored
  bool HasStatus(std::uint16_t status) const noexcept;
  /// The contract's default: connect, reset, timeout, 408, 429, 500, 502, 503, 504.
  static RetryOn Default() noexcept;

 private:
  std::bitset<500> statuses_;  ///< bit 0 = status 100
};

/// Immutable. A cluster's `retry`.
struct RetryRules {
  RetryOn on = RetryOn::Default();
  std::uint32_t attempts_max = 2;  ///< all tries on one model, the first included
  bool unproven = true;
};

/// Owned by one Worker. How far a request has come; the caller keeps it.
struct RetryProgress {
  std::uint32_t attempts = 1;          ///< begun so far
  std::uint32_t unproven_retries = 0;  ///< verdicts with `unproven` that were followed
  bool committed = false;
};

/// How an attempt failed. With code kUpstreamStatus `status` says which; `error.retry` of a status is kSafe
/// unless the backend's kind says that this answer is about the request, not the server.
struct AttemptFailure {
  Error error;
  std::uint16_t status = 0;
  bool asked_to_wait = false;  ///< the answer carried a Retry-After: that endpoint rests
  bool asked_twice = false;    ///< a dead connection was replaced: the endpoint may have had the request twice
};

enum class RetryAction : std::uint8_t { kGiveUp, kRetryElsewhere };

/// Why not.
enum class GiveUpReason : std::uint8_t {
  kNone,
  kCommitted,
  kNotRetryable,  ///< the error's nature, or not in `retry.on`
  kUnproven,      ///< not allowed, or the one unproven retry is spent
  kAttemptsUsed,  ///< would have been retried: the access log's URX
};

struct RetryVerdict {
  RetryAction action = RetryAction::kGiveUp;
  GiveUpReason gave_up = GiveUpReason::kNone;
  RetryReason reason = RetryReason::kStatus;  ///< of a retry
  bool unproven = false;                      ///< this retry is the unproven one
  /// With no other endpoint left, may the same one be asked? Not one that was silent, asked for a rest, or may
  /// have had it twice (FAULTS U-04).
  bool same_endpoint = false;
};

RetryVerdict DecideRetry(const RetryRules& rules, const RetryProgress& progress,
                         const AttemptFailure& failure) noexcept;

}  // namespace penstock::policy
