#include "proxy/stages/try_model.hpp"

#include "penstock/policy/backoff.hpp"
#include "penstock/policy/retry_after.hpp"
#include "penstock/proxy/error_reply.hpp"

namespace penstock::proxy {
namespace {

/// A place to go: an endpoint that is usable and has room.
struct Choice {
  EndpointPool* pool = nullptr;
  policy::LoadLease lease;
  policy::BreakerPermit permit;
  std::uint32_t index = 0;
  bool someone_usable = false;             ///< none was free, but somebody is alive
  TimePoint rest_ends = TimePoint::Max();  ///< of those that asked for a pause, the first
};

/// `barred`: those that shall not be asked (again) for this request.
Choice Choose(const RequestContext& context, policy::Candidates& candidates, const policy::EndpointSet& barred) {
  const ClusterView& cluster = *context.cluster;
  const TimePoint now = context.now();
  Choice choice;
  while (const std::optional<std::uint32_t> index = candidates.Next()) {
    if (barred.Contains(*index)) continue;
    EndpointPool& pool = *cluster.pools[*index];
    upstream::Endpoint& endpoint = pool.endpoint();
    policy::CircuitBreaker& breaker = (*context.model->breakers)[*index];
    if (!endpoint.usable() || !breaker.Admits(now)) continue;
    if (endpoint.rest.Resting(now)) {
      choice.rest_ends = std::min(choice.rest_ends, endpoint.rest.until());
      continue;
    }
    choice.someone_usable = true;
    std::optional<policy::LoadLease> lease = endpoint.load.TryLease(endpoint.spec().max_concurrency);
    if (!lease.has_value()) continue;
    std::optional<policy::BreakerPermit> permit = breaker.Take(now);
    if (!permit.has_value()) continue;  // another request took the probe
    choice.permit = std::move(*permit);
    choice.pool = &pool;
    choice.index = *index;
    choice.lease = std::move(*lease);
    return choice;
  }
  return choice;
}

policy::AttemptFailure FailureOf(const Attempt& attempt) {
  policy::AttemptFailure failure;
  failure.error = attempt.result().error;
  failure.status = attempt.result().status;
  failure.asked_twice = attempt.asked_twice();
  if (attempt.result().kind == AttemptResult::Kind::kRefused) {
    failure.asked_to_wait = attempt.refusal_head().Has(http::HeaderId::kRetryAfter) ||
                            attempt.refusal_head().Has(http::HeaderId::kRetryAfterMs);
  }
  return failure;
}

/// How long to wait before the endpoint that refused may be asked again; nothing: longer than `retry_after_max` or the
/// request's deadline allow, or it did not say.
std::optional<Duration> WaitFor(const RequestContext& context, const Attempt& attempt) {
  if (attempt.result().kind != AttemptResult::Kind::kRefused) return std::nullopt;
  const http::Head& head = attempt.refusal_head();
  const auto wait = policy::ParseRetryAfter(head.Find(http::HeaderId::kRetryAfter),
                                            head.Find(http::HeaderId::kRetryAfterMs), context.worker.worker.Wall());
  if (!wait.has_value() || *wait > context.cluster->route->config->retry.retry_after_max) return std::nullopt;
  if (context.deadline.Expired(context.now() + *wait)) return std::nullopt;
  return wait;
}

rt::Task<void> Sleep(rt::Worker& worker, Duration time) {
  rt::Signal over;
  rt::Timer timer(&over, [](void* signal) { static_cast<rt::Signal*>(signal)->Set(); });
  worker.Arm(timer, time);
  co_await over;
}

/// What came of it for the client: nothing, because an answer was committed.
Trial Answered(RequestContext& context, const AttemptResult& result) {
  if (result.kind == AttemptResult::Kind::kInterrupted) {
    if (context.record.term == telemetry::Term::kWell) context.record.term = RowOf(result.error).term;
    context.worker.metrics.CountStreamInterruption(CodeName(result.error.code).data());
  }
  return {.end = Trial::End::kAnswered};
}

Trial Failed(const Attempt& attempt, bool elsewhere) {
  Trial trial{.end = Trial::End::kFailed, .error = attempt.result().error, .elsewhere = elsewhere};
  if (attempt.result().kind == AttemptResult::Kind::kRefused) {
    trial.end = Trial::End::kRefused;
    trial.refusal = attempt.refusal().refusal;
  }
  return trial;
}

Trial NobodyToAsk(RequestContext& context, const Choice& choice) {
  const bool someone_usable = choice.someone_usable;
  if (!someone_usable && choice.rest_ends != TimePoint::Max()) {
    context.record.retry_after = choice.rest_ends - context.now();
    const Error error = InternalError(ErrorCode::kRequestsExceeded, "every backend has asked for a pause");
    return {.end = Trial::End::kFailed, .error = error, .elsewhere = true};
  }
  const Error error = InternalError(someone_usable ? ErrorCode::kOverloaded : ErrorCode::kNoHealthyUpstream,
                                    someone_usable ? "every backend is at its limit" : "no backend is healthy");
  return {.end = Trial::End::kFailed, .error = error, .elsewhere = true};
}

/// Whether another model may have a try at what the rules gave up here: not what they never try again.
bool MayGoElsewhere(const policy::RetryRules& rules, policy::GiveUpReason reason) {
  return reason == policy::GiveUpReason::kAttemptsUsed || (reason == policy::GiveUpReason::kUnproven && rules.unproven);
}

}  // namespace

rt::Task<Trial> TryModel(RequestContext& context, Attempt& attempt) {
  rt::Worker& worker = context.worker.worker;
  const ClusterView& cluster = *context.cluster;
  const policy::RetryRules& rules = cluster.route->retry;
  const policy::PickContext pick{worker.prng()};
  std::optional<policy::Candidates> candidates(std::in_place, *cluster.balancer, pick);
  policy::RetryProgress progress;
  progress.attempts = 0;
  policy::EndpointSet barred;  // were silent, or asked to be left alone
  policy::RetryVerdict verdict;
  bool once_more = false;  // somebody who answered badly may be asked again
  // Who finds all endpoints at a pause waits as long as who was told so by one of them.
  const TimePoint patience =
      Earlier(context.deadline, policy::Deadline::After(worker.Now(), cluster.route->config->retry.retry_after_max)).at;
  cluster.route->budget->OnRequest(worker.index(), worker.Now());
  while (true) {
    Choice choice = Choose(context, *candidates, barred);
    if (choice.pool == nullptr && once_more) {
      const config::Backoff& backoff = cluster.route->config->retry.backoff;
      co_await Sleep(worker, policy::NextBackoff(backoff.base, backoff.max, progress.attempts, worker.prng()));
      candidates.emplace(*cluster.balancer, pick);
      choice = Choose(context, *candidates, barred);
    }
    if (const auto wait = choice.pool == nullptr && progress.attempts > 0 ? WaitFor(context, attempt) : std::nullopt) {
      co_await Sleep(worker, *wait);
      barred = {};
      candidates.emplace(*cluster.balancer, pick);
      choice = Choose(context, *candidates, barred);
    }
    while (progress.attempts == 0 && choice.pool == nullptr && choice.rest_ends <= patience) {
      co_await Sleep(worker, choice.rest_ends - worker.Now());
      candidates.emplace(*cluster.balancer, pick);
      choice = Choose(context, *candidates, barred);
    }
    if (choice.pool == nullptr) {
      co_return progress.attempts == 0 ? NobodyToAsk(context, choice) : Failed(attempt, true);
    }
    if (progress.attempts > 0) {
      if (!cluster.route->budget->TryRetry(worker.Now())) co_return Failed(attempt, true);
      context.worker.metrics.gateway.retries[static_cast<std::size_t>(verdict.reason)].Add(context.worker.metrics.slab);
    }
    ++progress.attempts;
    attempt.Begin(*choice.pool, std::move(choice.lease), std::move(choice.permit), context.record.attempts + 1);
    co_await attempt.Done();
    const AttemptResult& result = attempt.result();
    if (result.kind == AttemptResult::Kind::kDelivered || result.kind == AttemptResult::Kind::kInterrupted)
      co_return Answered(context, result);
    if (context.deadline.Expired(context.now())) co_return Failed(attempt, false);
    verdict = policy::DecideRetry(rules, progress, FailureOf(attempt));
    if (verdict.action == policy::RetryAction::kGiveUp)
      co_return Failed(attempt, MayGoElsewhere(rules, verdict.gave_up));
    if (verdict.unproven) ++progress.unproven_retries;
    if (verdict.same_endpoint) {
      once_more = true;
    } else {
      barred.Insert(choice.index);
    }
  }
}

}  // namespace penstock::proxy
