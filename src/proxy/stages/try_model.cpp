#include "proxy/stages/try_model.hpp"

#include "penstock/policy/backoff.hpp"
#include "penstock/proxy/error_reply.hpp"
#include "proxy/balance_key.hpp"
#include "proxy/stages/choose_endpoint.hpp"

namespace penstock::proxy {
namespace {

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

rt::Task<void> Sleep(rt::Worker& worker, Duration time) {
  rt::Signal over;
  rt::Timer timer(&over, [](void* signal) { static_cast<rt::Signal*>(signal)->Set(); });
  worker.Arm(timer, time);
  co_await over;
}

Trial Failed(const Attempt& attempt, bool elsewhere) {
  Trial trial{.end = Trial::End::kFailed, .error = attempt.result().error, .elsewhere = elsewhere};
  if (attempt.result().kind == AttemptResult::Kind::kRefused) {
    trial.end = Trial::End::kRefused;
    trial.refusal = attempt.refusal().refusal;
  }
  return trial;
}

Trial NobodyToAsk(const RequestContext& context, const Choice& choice) {
  const bool someone_usable = choice.someone_usable;
  if (!someone_usable && choice.rest_ends != TimePoint::Max()) {
    const Error error = InternalError(ErrorCode::kRequestsExceeded, "every backend has asked for a pause");
    return {.end = Trial::End::kFailed, .error = error, .elsewhere = true, .pause = choice.rest_ends - context.now()};
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

void NoteInterrupted(RequestContext& context, const Error& error) {
  if (context.record.term == telemetry::Term::kWell) context.record.term = RowOf(error).term;
  context.worker.metrics.CountStreamInterruption(CodeName(error.code).data());
}

rt::Task<Trial> TryModel(RequestContext& context, Attempt& attempt) {
  rt::Worker& worker = context.worker.worker;
  const ClusterView& cluster = *context.cluster;
  const config::Retry& retry = cluster.route->config->retry;
  const policy::RetryRules& rules = cluster.route->retry;
  const policy::PickContext pick = PickFor(context);
  std::optional<policy::Candidates> candidates(std::in_place, *cluster.balancer, pick);
  policy::RetryProgress progress;
  progress.attempts = 0;
  policy::EndpointSet barred;  // not again for this request: were silent, or may have had it twice
  policy::RetryVerdict verdict;
  bool once_more = false;  // somebody who answered badly may be asked again
  cluster.route->budget->OnRequest(worker.index(), worker.Now());
  while (true) {
    Choice choice = ChooseEndpoint(context, *candidates, barred);
    if (choice.pool == nullptr && once_more) {
      co_await Sleep(worker,
                     policy::NextBackoff(retry.backoff.base, retry.backoff.max, progress.attempts, worker.prng()));
      candidates.emplace(*cluster.balancer, pick);
      choice = ChooseEndpoint(context, *candidates, barred);
    }
    const TimePoint patience =
        Earlier(context.deadline, policy::Deadline::After(worker.Now(), retry.retry_after_max)).at;
    while (choice.pool == nullptr && choice.rest_ends <= patience) {
      co_await Sleep(worker, choice.rest_ends - worker.Now());
      candidates.emplace(*cluster.balancer, pick);
      choice = ChooseEndpoint(context, *candidates, barred);
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
    if (result.kind == AttemptResult::Kind::kBroken) co_return Trial{.end = Trial::End::kBroken};
    if (result.kind == AttemptResult::Kind::kInterrupted) NoteInterrupted(context, result.error);
    if (result.kind == AttemptResult::Kind::kDelivered || result.kind == AttemptResult::Kind::kInterrupted)
      co_return Trial{.end = Trial::End::kAnswered};
    if (context.deadline.Expired(context.now())) co_return Failed(attempt, false);
    const policy::AttemptFailure failure = FailureOf(attempt);
    verdict = policy::DecideRetry(rules, progress, failure);
    if (verdict.action == policy::RetryAction::kGiveUp)
      co_return Failed(attempt, MayGoElsewhere(rules, verdict.gave_up));
    if (verdict.unproven) ++progress.unproven_retries;
    if (verdict.same_endpoint || failure.asked_to_wait) {
      once_more = true;  // who asked for a pause has it: Choose passes it over meanwhile
    } else {
      barred.Insert(choice.index);
    }
  }
}

}  // namespace penstock::proxy
