#include "proxy/stages/try_model.hpp"

#include <utility>

#include "penstock/proxy/error_reply.hpp"
#include "proxy/stages/admit.hpp"
#include "proxy/stages/hedge.hpp"

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

Trial Failed(const Attempt& attempt, bool elsewhere) {
  Trial trial{.end = Trial::End::kFailed, .error = attempt.result().error, .elsewhere = elsewhere};
  if (attempt.result().kind == AttemptResult::Kind::kRefused) {
    trial.end = Trial::End::kRefused;
    trial.refusal = attempt.refusal().refusal;
  }
  return trial;
}

Trial NobodyToAsk(const Admission& admission) {
  const Admission::Refusal why = admission.why();
  return {.end = Trial::End::kFailed, .error = why.error, .elsewhere = true, .pause = why.pause};
}

/// Whether another model may have a try at what the rules gave up here: not what they never try again. A malformed
/// answer is not asked for again, for this model's servers all speak like that; another model's may not.
bool MayGoElsewhere(const policy::RetryRules& rules, policy::GiveUpReason reason, const Error& error) {
  using Reason = policy::GiveUpReason;
  const bool malformed = reason == Reason::kNotRetryable && error.code == ErrorCode::kUpstreamProtocol;
  return reason == Reason::kAttemptsUsed || ((malformed || reason == Reason::kUnproven) && rules.unproven);
}

}  // namespace

void NoteInterrupted(RequestContext& context, const Error& error) {
  if (context.record.term == telemetry::Term::kWell) context.record.term = RowOf(error).term;
  context.worker.metrics.CountStreamInterruption(CodeName(error.code).data());
}

rt::Task<Trial> TryModel(RequestContext& context, Attempt& attempt) {
  rt::Worker& worker = context.worker.worker;
  const ClusterView& cluster = *context.cluster;
  const policy::RetryRules& rules = cluster.route->retry;
  Admission admission(context);
  Hedge hedge(context, attempt, admission);
  policy::RetryProgress progress;
  progress.attempts = 0;
  policy::RetryVerdict verdict;
  Trial last;         // how the last attempt that was made failed
  bool paid = false;  // the retry that is due, in the budget
  cluster.route->budget->OnRequest(worker.index(), worker.Now());
  while (true) {
    Choice choice = admission.TryNow();
    policy::RetryPromise promise;
    if (choice.slot.pool == nullptr) {
      if (progress.attempts > 0 && !paid) {  // who may not ask again has nothing to wait for
        promise = cluster.route->budget->Promise(worker.Now());
        if (!promise) co_return last;
      }
      choice = co_await admission.Wait();
    }
    if (choice.slot.pool == nullptr) co_return progress.attempts == 0 ? NobodyToAsk(admission) : last;
    if (progress.attempts > 0 && !paid) {
      if (!cluster.route->budget->TryRetry(worker.Now(), std::move(promise))) co_return last;
      context.worker.metrics.gateway.retries[static_cast<std::size_t>(verdict.reason)].Add(context.worker.metrics.slab);
    }
    paid = progress.attempts > 0;
    ++progress.attempts;
    admission.OnAttempt();
    // cppcheck-suppress nullPointerRedundantCheck; it ends with co_return above
    attempt.Begin(std::move(choice.slot));
    hedge.Watch();
    co_await attempt.Done();
    const std::optional<std::uint32_t> hedged = hedge.Stop();
    if (hedged.has_value()) ++progress.attempts;
    const AttemptResult& result = attempt.result();
    if (result.kind == AttemptResult::Kind::kBroken) co_return Trial{.end = Trial::End::kBroken};
    if (result.kind == AttemptResult::Kind::kInterrupted) NoteInterrupted(context, result.error);
    if (result.kind == AttemptResult::Kind::kDelivered || result.kind == AttemptResult::Kind::kInterrupted)
      co_return Trial{.end = Trial::End::kAnswered};
    if (context.deadline.Expired(context.now())) co_return Failed(attempt, false);
    if (attempt.first_is_out()) admission.Bar(choice.index);
    if (attempt.never_sent()) {  // nobody was asked
      --progress.attempts;
      if (!hedged.has_value()) --context.record.attempts;
      continue;
    }
    paid = false;
    last = Failed(attempt, true);
    const policy::AttemptFailure failure = FailureOf(attempt);
    verdict = policy::DecideRetry(rules, progress, failure);
    if (verdict.action == policy::RetryAction::kGiveUp)
      co_return Failed(attempt, MayGoElsewhere(rules, verdict.gave_up, failure.error));
    if (verdict.unproven) ++progress.unproven_retries;
    if (verdict.same_endpoint || failure.asked_to_wait) {
      admission.MayAskAgain();  // who asked for a pause has it: Choose passes it over meanwhile
    } else {
      admission.Bar(attempt.took_backup() ? *hedged : choice.index);
    }
  }
}

}  // namespace penstock::proxy
