#include "penstock/policy/retry_rules.hpp"

#include <optional>

namespace penstock::policy {

namespace {

constexpr std::uint16_t kStatusMin = 100;
constexpr std::uint16_t kStatusMax = 599;

RetryVerdict GiveUp(GiveUpReason why) noexcept { return {.action = RetryAction::kGiveUp, .gave_up = why}; }

/// The class of `retry.on` a failure belongs to; none for what no second attempt can mend.
std::optional<RetryReason> Classify(const Error& error) noexcept {
  switch (error.code) {
    case ErrorCode::kUpstreamConnect:
    case ErrorCode::kUpstreamTls:
    case ErrorCode::kUpstreamDns: return RetryReason::kConnect;
    case ErrorCode::kUpstreamReset: return RetryReason::kReset;
    case ErrorCode::kUpstreamTimeout: return RetryReason::kTimeout;
    case ErrorCode::kUpstreamStatus: return RetryReason::kStatus;
    case ErrorCode::kUpstreamProtocol:
      // A malformed answer is an answer: processed, and not among the unproven (reset, timeout).
      if (error.retry == Retry::kUnproven) return std::nullopt;
      return RetryReason::kReset;
    case ErrorCode::kNone:
    case ErrorCode::kBadRequest:
    case ErrorCode::kHttpVersion:
    case ErrorCode::kTransferCoding:
    case ErrorCode::kExpectationFailed:
    case ErrorCode::kMisdirectedRequest:
    case ErrorCode::kInvalidJson:
    case ErrorCode::kInvalidParam:
    case ErrorCode::kDuplicateKey:
    case ErrorCode::kInvalidApiKey:
    case ErrorCode::kModelForbidden:
    case ErrorCode::kModelNotFound:
    case ErrorCode::kNotFound:
    case ErrorCode::kMethodNotAllowed:
    case ErrorCode::kRequestTimeout:
    case ErrorCode::kBodyTooLarge:
    case ErrorCode::kHeadersTooLarge:
    case ErrorCode::kUriTooLong:
    case ErrorCode::kUnsupportedMedia:
    case ErrorCode::kRequestsExceeded:
    case ErrorCode::kTokensExceeded:
    case ErrorCode::kConcurrencyExceeded:
    case ErrorCode::kQueueFull:
    case ErrorCode::kQueueTimeout:
    case ErrorCode::kOverloaded:
    case ErrorCode::kDraining:
    case ErrorCode::kNoHealthyUpstream:
    case ErrorCode::kDeadlineExceeded:  // the deadline includes the retries
    case ErrorCode::kStreamInterrupted:
    case ErrorCode::kClientGone:
    case ErrorCode::kInternal: return std::nullopt;
  }
  return std::nullopt;
}

bool Wanted(const RetryOn& on, RetryReason reason, std::uint16_t status) noexcept {
  switch (reason) {
    case RetryReason::kConnect: return on.connect;
    case RetryReason::kReset: return on.reset;
    case RetryReason::kTimeout: return on.timeout;
    case RetryReason::kStatus: return on.HasStatus(status);
  }
  return false;
}

}  // namespace

void RetryOn::AddStatus(std::uint16_t status) noexcept {
  if (status >= kStatusMin && status <= kStatusMax) statuses_.set(status - kStatusMin);
}

bool RetryOn::HasStatus(std::uint16_t status) const noexcept {
  return status >= kStatusMin && status <= kStatusMax && statuses_.test(status - kStatusMin);
}

RetryOn RetryOn::Default() noexcept {
  RetryOn on;
  constexpr std::uint16_t kStatuses[] = {408, 429, 500, 502, 503, 504};
  for (const std::uint16_t status : kStatuses) on.AddStatus(status);
  return on;
}

RetryVerdict DecideRetry(const RetryRules& rules, const RetryProgress& progress,
                         const AttemptFailure& failure) noexcept {
  if (progress.committed) return GiveUp(GiveUpReason::kCommitted);
  const std::optional<RetryReason> reason = Classify(failure.error);
  if (!reason || failure.error.retry == Retry::kNever || !Wanted(rules.on, *reason, failure.status)) {
    return GiveUp(GiveUpReason::kNotRetryable);
  }
  const bool unproven = failure.error.retry == Retry::kUnproven;
  if (unproven && !rules.unproven) return GiveUp(GiveUpReason::kUnproven);
  if (progress.attempts >= rules.attempts_max) return GiveUp(GiveUpReason::kAttemptsUsed);
  if (unproven && progress.unproven_retries != 0) return GiveUp(GiveUpReason::kUnproven);
  return {.action = RetryAction::kRetryElsewhere,
          .reason = *reason,
          .unproven = unproven,
          .same_endpoint =
              *reason != RetryReason::kTimeout && !failure.asked_to_wait && !(unproven && failure.asked_twice)};
}

}  // namespace penstock::policy
