#include "penstock/policy/retry_rules.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::policy {
namespace {

AttemptFailure Failed(ErrorCode code, Retry retry) { return {UpstreamError(code, retry, "test")}; }
AttemptFailure Answered(std::uint16_t status, bool asked_to_wait = false) {
  return {UpstreamError(ErrorCode::kUpstreamStatus, Retry::kSafe, "test"), status, asked_to_wait};
}

AttemptFailure Twice(AttemptFailure failure) {
  failure.asked_twice = true;
  return failure;
}

struct Row {
  const char* name;
  AttemptFailure failure;
  RetryAction action;
  GiveUpReason gave_up = GiveUpReason::kNone;
  RetryReason reason = RetryReason::kStatus;
  bool unproven = false;
  bool same_endpoint = true;
};

constexpr auto kElsewhere = RetryAction::kRetryElsewhere;
constexpr auto kGiveUp = RetryAction::kGiveUp;
constexpr auto kNone = GiveUpReason::kNone;
constexpr auto kNotRetryable = GiveUpReason::kNotRetryable;

class RetryRulesFaults : public testing::TestWithParam<Row> {};

TEST_P(RetryRulesFaults, FirstAttemptUnderDefaultRules) {
  const Row& row = GetParam();
  const RetryVerdict verdict = DecideRetry(RetryRules{}, RetryProgress{}, row.failure);
  EXPECT_EQ(verdict.action, row.action);
  EXPECT_EQ(verdict.gave_up, row.gave_up);
  if (row.action == kElsewhere) {
    EXPECT_EQ(verdict.reason, row.reason);
    EXPECT_EQ(verdict.unproven, row.unproven);
    EXPECT_EQ(verdict.same_endpoint, row.same_endpoint);
  }
}

// clang-format off
const Row kRows[] = {
    {"U_01_Refused", Failed(ErrorCode::kUpstreamConnect, Retry::kIfUnprocessed), kElsewhere, kNone, RetryReason::kConnect},
    {"U_03_Tls", Failed(ErrorCode::kUpstreamTls, Retry::kIfUnprocessed), kElsewhere, kNone, RetryReason::kConnect},
    {"U_27_Dns", Failed(ErrorCode::kUpstreamDns, Retry::kIfUnprocessed), kElsewhere, kNone, RetryReason::kConnect},
    {"U_04_ResetAfterTheRequest", Failed(ErrorCode::kUpstreamReset, Retry::kUnproven), kElsewhere, kNone, RetryReason::kReset, true},
    {"U_04_ResetAgainOnAnotherConnection", Twice(Failed(ErrorCode::kUpstreamReset, Retry::kUnproven)), kElsewhere, kNone, RetryReason::kReset, true, false},
    {"U_19_Goaway", Failed(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed), kElsewhere, kNone, RetryReason::kReset},
    {"U_21_RefusedStream", Failed(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed), kElsewhere, kNone, RetryReason::kReset},
    {"U_22_InternalErrorMarkedFinal", Failed(ErrorCode::kUpstreamReset, Retry::kNever), kGiveUp, kNotRetryable},
    {"U_12_SilentIsNotAskedAgain", Failed(ErrorCode::kUpstreamTimeout, Retry::kUnproven), kElsewhere, kNone, RetryReason::kTimeout, true, false},
    {"U_12_TotalDeadline", Failed(ErrorCode::kDeadlineExceeded, Retry::kUnproven), kGiveUp, kNotRetryable},
    {"U_16_HtmlAnswer", Failed(ErrorCode::kUpstreamProtocol, Retry::kUnproven), kGiveUp, kNotRetryable},
    {"U_35_HeaderBomb", Failed(ErrorCode::kUpstreamProtocol, Retry::kNever), kGiveUp, kNotRetryable},
    {"ProtocolErrorBeforeTheRequest", Failed(ErrorCode::kUpstreamProtocol, Retry::kIfUnprocessed), kElsewhere, kNone, RetryReason::kReset},
    {"U_17_500", Answered(500), kElsewhere},
    {"U_17_502", Answered(502), kElsewhere},
    {"U_17_503", Answered(503), kElsewhere},
    {"U_17_504", Answered(504), kElsewhere},
    {"U_18_429WithRetryAfter", Answered(429, true), kElsewhere, kNone, RetryReason::kStatus, false, false},
    {"U_18_429Bare", Answered(429), kElsewhere},
    {"408", Answered(408), kElsewhere},
    {"501IsNotListed", Answered(501), kGiveUp, kNotRetryable},
    {"400ContextLength", Answered(400), kGiveUp, kNotRetryable},
    {"422", Answered(422), kGiveUp, kNotRetryable},
    {"StatusZero", Answered(0), kGiveUp, kNotRetryable},
    {"Status65535", Answered(65535), kGiveUp, kNotRetryable},
    {"A500AboutTheRequest", {UpstreamError(ErrorCode::kUpstreamStatus, Retry::kNever, "bad json"), 500}, kGiveUp, kNotRetryable},
    {"ClientGone", {DownstreamError(ErrorCode::kClientGone, "gone")}, kGiveUp, kNotRetryable},
    {"OurOwnFault", {InternalError(ErrorCode::kInternal, "bug")}, kGiveUp, kNotRetryable},
    {"StreamInterrupted", Failed(ErrorCode::kStreamInterrupted, Retry::kUnproven), kGiveUp, kNotRetryable},
};
// clang-format on
INSTANTIATE_TEST_SUITE_P(Catalogue, RetryRulesFaults, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(RetryRules, U_07_NothingIsRetriedAfterCommit) {
  RetryProgress progress;
  progress.committed = true;
  for (const Row& row : kRows) {
    const RetryVerdict verdict = DecideRetry(RetryRules{}, progress, row.failure);
    EXPECT_EQ(verdict.action, kGiveUp) << row.name;
    EXPECT_EQ(verdict.gave_up, GiveUpReason::kCommitted) << row.name;
  }
}

TEST(RetryRules, AttemptsCountTheFirstOne) {
  const AttemptFailure refused = Failed(ErrorCode::kUpstreamConnect, Retry::kIfUnprocessed);
  for (const std::uint32_t attempts_max : {1u, 2u, 5u}) {
    RetryRules rules;
    rules.attempts_max = attempts_max;
    for (std::uint32_t attempts = 1; attempts < 8; ++attempts) {
      const RetryVerdict verdict = DecideRetry(rules, {.attempts = attempts}, refused);
      EXPECT_EQ(verdict.action == kElsewhere, attempts < attempts_max) << attempts << " of " << attempts_max;
      EXPECT_EQ(verdict.gave_up, attempts < attempts_max ? kNone : GiveUpReason::kAttemptsUsed);
    }
  }
}

TEST(RetryRules, AtMostOneUnprovenRetry) {
  RetryRules rules;
  rules.attempts_max = 10;
  RetryProgress progress;
  const AttemptFailure reset = Failed(ErrorCode::kUpstreamReset, Retry::kUnproven);
  const AttemptFailure refused = Failed(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed);
  RetryVerdict verdict = DecideRetry(rules, progress, reset);
  ASSERT_EQ(verdict.action, kElsewhere);
  ASSERT_TRUE(verdict.unproven);
  progress = {.attempts = 2, .unproven_retries = 1};
  verdict = DecideRetry(rules, progress, Failed(ErrorCode::kUpstreamTimeout, Retry::kUnproven));
  EXPECT_EQ(verdict.gave_up, GiveUpReason::kUnproven);
  EXPECT_EQ(DecideRetry(rules, progress, refused).action, kElsewhere) << "proven ones go on";
}

TEST(RetryRules, UnprovenCanBeForbidden) {
  RetryRules rules;
  rules.unproven = false;
  EXPECT_EQ(DecideRetry(rules, {}, Failed(ErrorCode::kUpstreamReset, Retry::kUnproven)).gave_up,
            GiveUpReason::kUnproven);
  EXPECT_EQ(DecideRetry(rules, {}, Failed(ErrorCode::kUpstreamTimeout, Retry::kUnproven)).gave_up,
            GiveUpReason::kUnproven);
  EXPECT_EQ(DecideRetry(rules, {}, Failed(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed)).action, kElsewhere);
  EXPECT_EQ(DecideRetry(rules, {}, Answered(503)).action, kElsewhere);
}

TEST(RetryRules, EachClassCanBeSwitchedOff) {
  const struct {
    bool RetryOn::*member;
    AttemptFailure failure;
  } rows[] = {
      {&RetryOn::connect, Failed(ErrorCode::kUpstreamConnect, Retry::kIfUnprocessed)},
      {&RetryOn::reset, Failed(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed)},
      {&RetryOn::timeout, Failed(ErrorCode::kUpstreamTimeout, Retry::kUnproven)},
  };
  for (const auto& row : rows) {
    RetryRules rules;
    EXPECT_EQ(DecideRetry(rules, {}, row.failure).action, kElsewhere);
    rules.on.*row.member = false;
    EXPECT_EQ(DecideRetry(rules, {}, row.failure).gave_up, kNotRetryable);
  }
  RetryRules rules;
  rules.on = RetryOn{};
  EXPECT_EQ(DecideRetry(rules, {}, Answered(503)).gave_up, kNotRetryable);
  rules.on.AddStatus(599);
  rules.on.AddStatus(600);
  rules.on.AddStatus(99);
  EXPECT_EQ(DecideRetry(rules, {}, Answered(599)).action, kElsewhere);
  EXPECT_EQ(DecideRetry(rules, {}, Answered(600)).gave_up, kNotRetryable);
}

}  // namespace
}  // namespace penstock::policy
