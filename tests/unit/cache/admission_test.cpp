#include "penstock/cache/admission.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::cache {
namespace {

using llm::Bit;
using llm::Family;
using llm::FinishReason;
using llm::RequestView;

RequestView View(Family family, std::string_view fields) {
  static std::string body;  // a view borrows it
  static llm::JsonParser parser(1);
  body = R"({"model":"m","messages":[{}],"prompt":"p","input":"i")" + std::string(fields) + "}";
  const auto view = ParseRequest(family, body, parser);
  EXPECT_TRUE(view) << body;
  return view.has_value() ? *view : RequestView{};
}

const RequestView& Sampled() {
  static const RequestView view = View(Family::kChat, "");
  return view;
}
const RequestView& Fixed() {
  static const RequestView view = View(Family::kChat, R"(,"temperature":0)");
  return view;
}

constexpr Admission kFull{.lookup = true, .store = true, .coalesce = true};
constexpr Admission kBypassed{.bypass = true};

TEST(CacheAdmission, K_04_SampledRequestsAreNotCached) {
  const struct {
    Family family;
    const char* fields;
    bool deterministic;
  } rows[] = {
      {Family::kChat, "", false},
      {Family::kChat, R"(,"temperature":1)", false},
      {Family::kChat, R"(,"temperature":0.0001)", false},
      {Family::kChat, R"(,"temperature":null)", false},
      {Family::kChat, R"(,"seed":null)", false},
      {Family::kChat, R"(,"top_p":0)", false},
      {Family::kChat, R"(,"temperature":0)", true},
      {Family::kChat, R"(,"temperature":0.0,"n":3)", true},
      {Family::kChat, R"(,"temperature":-0.0)", true},
      {Family::kChat, R"(,"seed":7,"temperature":1)", true},
      {Family::kCompletions, "", false},
      {Family::kCompletions, R"(,"temperature":0)", true},
      {Family::kResponses, "", false},
      {Family::kResponses, R"(,"temperature":0)", true},
      {Family::kMessages, "", false},
      {Family::kMessages, R"(,"temperature":0)", true},
      {Family::kEmbeddings, "", true},
      {Family::kRerank, "", true},
      {Family::kScore, "", true},
      {Family::kTokenize, "", true},
      {Family::kDetokenize, "", true},
      {Family::kCountTokens, "", false},
  };
  for (const auto& row : rows) {
    const RequestView view = View(row.family, row.fields);
    EXPECT_EQ(IsDeterministic(view), row.deterministic) << static_cast<int>(row.family) << row.fields;
    EXPECT_EQ(Admit(view, StorePolicy::kDeterministic, CacheMode::kUnset, {}), row.deterministic ? kFull : kBypassed);
  }
}

TEST(CacheAdmission, K_04_PolicyModeAndCacheControl) {
  constexpr Admission kSampledFull{.lookup = true, .store = true};
  constexpr Admission kRefreshed{.store = true, .refresh = true};
  constexpr Admission kReadOnly{.lookup = true};
  constexpr CacheControl kNoStore{.no_store = true}, kNoCache{.no_cache = true},
      kNeither{.no_cache = true, .no_store = true};
  const struct {
    const char* name;
    StorePolicy policy;
    CacheMode mode;
    CacheControl control;
    Admission fixed;
    Admission sampled;
  } rows[] = {
      {"default", StorePolicy::kDeterministic, CacheMode::kUnset, {}, kFull, kBypassed},
      {"use", StorePolicy::kDeterministic, CacheMode::kUse, {}, kFull, kSampledFull},
      {"bypass", StorePolicy::kDeterministic, CacheMode::kBypass, {}, kBypassed, kBypassed},
      {"refresh", StorePolicy::kDeterministic, CacheMode::kRefresh, {}, kRefreshed, kRefreshed},
      {"no-store", StorePolicy::kDeterministic, CacheMode::kUnset, kNoStore, kReadOnly, kBypassed},
      {"no-cache", StorePolicy::kDeterministic, CacheMode::kUnset, kNoCache, kRefreshed, kBypassed},
      {"no-cache, no-store", StorePolicy::kDeterministic, CacheMode::kUnset, kNeither, kBypassed, kBypassed},
      {"use, no-store", StorePolicy::kDeterministic, CacheMode::kUse, kNoStore, kReadOnly, kReadOnly},
      {"refresh, no-store", StorePolicy::kDeterministic, CacheMode::kRefresh, kNoStore, kBypassed, kBypassed},
      {"always", StorePolicy::kAlways, CacheMode::kUnset, {}, kFull, kSampledFull},
      {"always, bypass", StorePolicy::kAlways, CacheMode::kBypass, {}, kBypassed, kBypassed},
      {"always, no-store", StorePolicy::kAlways, CacheMode::kUnset, kNoStore, kReadOnly, kReadOnly},
      {"opt_in", StorePolicy::kOptIn, CacheMode::kUnset, {}, kBypassed, kBypassed},
      {"opt_in, use", StorePolicy::kOptIn, CacheMode::kUse, {}, kFull, kSampledFull},
      {"opt_in, refresh", StorePolicy::kOptIn, CacheMode::kRefresh, {}, kRefreshed, kRefreshed},
      {"opt_in, bypass", StorePolicy::kOptIn, CacheMode::kBypass, {}, kBypassed, kBypassed},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Admit(Fixed(), row.policy, row.mode, row.control), row.fixed) << row.name;
    EXPECT_EQ(Admit(Sampled(), row.policy, row.mode, row.control), row.sampled) << row.name << ", sampled";
  }
}

TEST(CacheAdmission, ModeValues) {
  EXPECT_EQ(ParseCacheMode(""), CacheMode::kUnset);
  EXPECT_EQ(ParseCacheMode(" \t"), CacheMode::kUnset);
  EXPECT_EQ(ParseCacheMode("use"), CacheMode::kUse);
  EXPECT_EQ(ParseCacheMode(" Use\t"), CacheMode::kUse);
  EXPECT_EQ(ParseCacheMode("REFRESH"), CacheMode::kRefresh);
  EXPECT_EQ(ParseCacheMode("bypass"), CacheMode::kBypass);
  EXPECT_EQ(ParseCacheMode("off"), CacheMode::kBypass);
  EXPECT_EQ(ParseCacheMode("use, refresh"), CacheMode::kBypass);
  EXPECT_EQ(ParseCacheMode("used"), CacheMode::kBypass);
}

TEST(CacheAdmission, CacheControlValues) {
  constexpr CacheControl kNothing{}, kNoStore{.no_store = true}, kNoCache{.no_cache = true},
      kBoth{.no_cache = true, .no_store = true};
  const std::pair<const char*, CacheControl> rows[] = {
      {"", kNothing},
      {"max-age=0", kNothing},
      {"no-store", kNoStore},
      {"No-Store", kNoStore},
      {" no-cache\t", kNoCache},
      {"no-cache=\"set-cookie\"", kNoCache},
      {"no-cache,no-store", kBoth},
      {"private , max-age=5,, no-store ,", kNoStore},
      {"private=\"no-store, no-cache\"", kNothing},
      {"x=\"a\\\"b, no-cache\", no-store", kNoStore},
      {"x=\"never closed, no-store", kNothing},
      {"no-stores, xno-cache, no store", kNothing},
      {",,,", kNothing},
      {"x=\"\\", kNothing},
  };
  for (const auto& [value, control] : rows) EXPECT_EQ(ParseCacheControl(value), control) << value;
  CacheControl sum = kNoStore;
  EXPECT_EQ(sum |= kNoCache, kBoth);
}

constexpr std::uint64_t kMax = 1000;

Outcome Good() {
  return {.status = 200, .complete = true, .finish_reasons = Bit(FinishReason::kStop), .control = {}, .bytes = kMax};
}

TEST(CacheStoring, K_07_ErrorsAreNotStored) {
  EXPECT_EQ(Judge(Family::kChat, Good(), kMax), Verdict::kStore);
  for (const int status : {0, 100, 201, 203, 204, 206, 301, 304, 400, 401, 404, 408, 429, 500, 503, 529}) {
    Outcome outcome = Good();
    outcome.status = static_cast<std::uint16_t>(status);
    EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kStatus) << status;
  }
  Outcome outcome = Good();
  outcome.error = true;
  EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kError);
}

TEST(CacheStoring, K_08_WhatDidNotEndProperlyIsNotStored) {
  Outcome outcome = Good();
  outcome.complete = false;
  for (const Family family : {Family::kChat, Family::kEmbeddings, Family::kTokenize}) {
    EXPECT_EQ(Judge(family, outcome, kMax), Verdict::kIncomplete);
  }
  outcome = Good();
  outcome.mixed = true;
  EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kMixed);
}

TEST(CacheStoring, K_09_FinishReasons) {
  const auto bits = [](auto... reasons) { return static_cast<std::uint8_t>((Bit(reasons) | ... | 0)); };
  const struct {
    std::uint8_t reasons;
    bool stored;
  } rows[] = {
      {bits(FinishReason::kStop), true},
      {bits(FinishReason::kToolCalls), true},
      {bits(FinishReason::kFunctionCall), true},
      {bits(FinishReason::kStop, FinishReason::kToolCalls), true},
      {bits(FinishReason::kNone), false},
      {bits(FinishReason::kLength), false},
      {bits(FinishReason::kContentFilter), false},
      {bits(FinishReason::kAbort), false},
      {bits(FinishReason::kOther), false},
      {bits(FinishReason::kStop, FinishReason::kLength), false},
      {bits(FinishReason::kStop, FinishReason::kNone), false},
      {0, false},  // no choice at all
  };
  for (const auto& row : rows) {
    Outcome outcome = Good();
    outcome.finish_reasons = row.reasons;
    for (const Family family : {Family::kChat, Family::kCompletions, Family::kResponses, Family::kMessages}) {
      EXPECT_EQ(Judge(family, outcome, kMax), row.stored ? Verdict::kStore : Verdict::kFinish) << int{row.reasons};
    }
  }
  Outcome outcome = Good();
  outcome.finish_reasons = 0;
  for (const Family family : {Family::kEmbeddings, Family::kRerank, Family::kScore, Family::kTokenize,
                              Family::kDetokenize, Family::kCountTokens}) {
    EXPECT_EQ(Judge(family, outcome, kMax), Verdict::kStore);
  }
}

TEST(CacheStoring, K_10_NotBeyondMaxEntry) {
  Outcome outcome = Good();
  EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kStore);
  ++outcome.bytes;
  EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kTooLarge);
}

TEST(CacheStoring, K_04_TheUpstreamMayForbidItWithNoStoreOnly) {
  Outcome outcome = Good();
  outcome.control = ParseCacheControl("no-cache");
  EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kStore);
  outcome.control = ParseCacheControl("no-cache, no-store");
  EXPECT_EQ(Judge(Family::kChat, outcome, kMax), Verdict::kNoStore);
}

}  // namespace
}  // namespace penstock::cache
