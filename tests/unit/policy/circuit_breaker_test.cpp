#include "penstock/policy/circuit_breaker.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kOpen = BreakerState::kOpen;
constexpr auto kHalfOpen = BreakerState::kHalfOpen;

/// A breaker with a clock, and room to open.
struct Bench {
  explicit Bench(CircuitBreakerRules with = {}, std::uint64_t seed = 1) : rules(with), prng(seed) {}

  /// One request after the other, `step` apart: s = success, f = failure, i = ignored, d = dropped without a word.
  void Play(std::string_view ends, Duration step = 1ms) {
    for (const char end : ends) {
      now = now + step;
      auto permit = breaker.Take(now);
      if (!permit) continue;
      switch (end) {
        case 's': permit->Success(now); break;
        case 'f': permit->Failure(now, prng); break;
        case 'i': permit->Ignored(); break;
        case 'd': break;
        default: ADD_FAILURE() << end;
      }
    }
  }
  /// To the end of the open time.
  void Wait() { now = std::max(now, breaker.open_until()); }
  BreakerState state() const { return breaker.state(now); }

  CircuitBreakerRules rules;
  EjectionLimit limit{1};
  Prng prng;
  TimePoint now{1'000'000'000};
  CircuitBreaker breaker{rules, limit};
};

std::string Repeat(std::string_view what, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += what;
  return all;
}

TEST(CircuitBreaker, U_30_Sequences) {
  const CircuitBreakerRules in_a_row{.failure_ratio = 0};
  const CircuitBreakerRules ratio{.consecutive_failures = 0};
  const struct {
    const char* name;
    CircuitBreakerRules rules;
    std::string ends;
    Duration step;
    BreakerState expected;
  } rows[] = {
      {"nothing", {}, "", 1ms, kClosed},
      {"four", {}, "ffff", 1ms, kClosed},
      {"five", {}, "fffff", 1ms, kOpen},
      {"U_26 hung: timeouts minutes apart", {}, "fffff", 60s, kOpen},
      {"a success breaks the row", {}, "ffffsffff", 1ms, kClosed},
      {"U_18 what says nothing does not break it", {}, "ffiffdf", 1ms, kOpen},
      {"U_18 throttling never opens", {}, Repeat("i", 1000), 1ms, kClosed},
      {"one is enough", {.consecutive_failures = 1}, "f", 1ms, kOpen},
      {"half of nineteen", ratio, Repeat("sf", 9) + "f", 1ms, kClosed},
      {"half of twenty", ratio, Repeat("sf", 10), 1ms, kOpen},
      {"less than half", ratio, Repeat("ssf", 40), 1ms, kClosed},
      {"only at a failure", ratio, Repeat("sf", 9) + "fs", 1ms, kClosed},
      {"... but at the next", ratio, Repeat("sf", 9) + "fsf", 1ms, kOpen},
      {"old ends are forgotten", ratio, Repeat("sf", 200), 600ms, kClosed},
      {"young ones are not", ratio, Repeat("sf", 10), 450ms, kOpen},
      {"ignored ones do not fill the window", ratio, Repeat("sfii", 9), 1ms, kClosed},
      {"all must fail", {.consecutive_failures = 0, .failure_ratio = 1}, "s" + Repeat("f", 100), 1ms, kClosed},
      {"all fail", {.consecutive_failures = 0, .failure_ratio = 1}, Repeat("f", 20), 1ms, kOpen},
      {"ratio off", in_a_row, Repeat("ffffs", 100), 1ms, kClosed},
      {"both off", {.consecutive_failures = 0, .failure_ratio = 0}, Repeat("f", 100), 1ms, kClosed},
  };
  for (const auto& row : rows) {
    Bench bench(row.rules);
    bench.Play(row.ends, row.step);
    EXPECT_EQ(bench.state(), row.expected) << row.name;
    EXPECT_EQ(bench.breaker.Admits(bench.now), row.expected == kClosed) << row.name;
    EXPECT_EQ(bench.limit.ejected(), row.expected == kClosed ? 0u : 1u) << row.name;
  }
}

TEST(CircuitBreaker, U_30_OpenProbedClosed) {
  Bench bench;
  bench.Play("fffff");
  EXPECT_FALSE(bench.breaker.Take(bench.now));
  const TimePoint until = bench.breaker.open_until();
  EXPECT_EQ(bench.breaker.state(until - 1ns), kOpen);
  EXPECT_FALSE(bench.breaker.Admits(until - 1ns));
  EXPECT_FALSE(bench.breaker.Take(until - 1ns));
  EXPECT_EQ(bench.breaker.state(until), kHalfOpen);
  EXPECT_TRUE(bench.breaker.Admits(until));
  EXPECT_TRUE(bench.breaker.Admits(until)) << "asking takes nothing";
  auto probe = bench.breaker.Take(until);
  ASSERT_TRUE(probe);
  EXPECT_TRUE(probe->probe());
  EXPECT_EQ(bench.breaker.state(until), kHalfOpen);
  EXPECT_FALSE(bench.breaker.Admits(until + 1h));
  EXPECT_FALSE(bench.breaker.Take(until + 1h)) << "one at a time";
  EXPECT_EQ(bench.limit.ejected(), 1u) << "half-open is ejected yet";
  probe->Success(until + 1s);
  EXPECT_EQ(bench.breaker.state(until + 1s), kClosed);
  EXPECT_EQ(bench.limit.ejected(), 0u);
  EXPECT_FALSE(bench.breaker.Take(until + 1s)->probe());
  EXPECT_EQ(bench.breaker.opened_total(), 1u);
}

TEST(CircuitBreaker, U_30_NothingOfThePastIsLeftAfterItClosed) {
  Bench bench;
  bench.Play(Repeat("sf", 9) + "fffff");
  bench.Wait();
  bench.Play("sffff");
  EXPECT_EQ(bench.state(), kClosed);
  bench.Play("f");
  EXPECT_EQ(bench.state(), kOpen);
}

TEST(CircuitBreaker, U_30_OpenTimeDoublesToItsMaxWithJitter) {
  constexpr std::array<Duration, 6> kTimes = {5s, 10s, 20s, 30s, 30s, 30s};
  std::vector<std::int64_t> firsts;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Bench bench({}, seed);
    bench.Play("fffff");
    for (const Duration time : kTimes) {
      const Duration open = bench.breaker.open_until() - bench.now;
      EXPECT_GE(open, time * 9 / 10);
      EXPECT_LE(open, std::min<Duration>(time * 11 / 10, 30s));
      if (time == kTimes[0]) firsts.push_back(open.count());
      bench.Wait();
      bench.Play("f", 0ms);
      EXPECT_EQ(bench.state(), kOpen) << "the probe failed";
    }
  }
  std::sort(firsts.begin(), firsts.end());
  EXPECT_EQ(std::unique(firsts.begin(), firsts.end()), firsts.end());
  EXPECT_LT(Duration(firsts.front()), 4600ms);
  EXPECT_GT(Duration(firsts.back()), 5400ms);
}

TEST(CircuitBreaker, TheTimesInARowAreForgottenAfterOpenMax) {
  for (const bool long_enough : {false, true}) {
    Bench bench;
    bench.Play("fffff");
    bench.Wait();
    bench.Play("s", 0ms);
    ASSERT_EQ(bench.state(), kClosed);
    bench.now = bench.now + 30s - (long_enough ? 0ns : 1ns);
    bench.Play("fffff", 0ms);
    EXPECT_EQ(bench.breaker.open_until() - bench.now < 7s, long_enough);
  }
}

TEST(CircuitBreaker, ExtremeTimesSaturate) {
  const struct {
    Duration open, open_max, least, most;
  } rows[] = {
      {5s, 2s, 1800ms, 2s},
      {0s, 0s, 0s, 0s},
      {0s, 5s, 0s, 0s},
      {-1s, -1s, 0s, 0s},
      {1ns, 100 * 8760h, 1ns, 100 * 8760h},
  };
  for (const auto& row : rows) {
    Bench bench({.consecutive_failures = 1, .open = row.open, .open_max = row.open_max});
    for (int i = 0; i < 100; ++i) {
      bench.Play("f", 0ms);
      const Duration open = bench.breaker.open_until() - bench.now;
      EXPECT_GE(open, row.least);
      EXPECT_LE(open, row.most);
      if (open > 8760h) break;
      bench.Wait();
    }
  }
}

TEST(CircuitBreaker, AProbeWithoutAVerdictIsFreeForTheNext) {
  Bench bench;
  bench.Play("fffff");
  bench.Wait();
  for (const std::string_view end : {"i", "d"}) {
    bench.Play(end, 0ms);
    EXPECT_EQ(bench.state(), kHalfOpen);
    EXPECT_TRUE(bench.breaker.Admits(bench.now));
  }
  BreakerPermit probe = bench.breaker.Take(bench.now).value();
  EXPECT_FALSE(bench.breaker.Admits(bench.now));
  BreakerPermit moved = std::move(probe);
  EXPECT_FALSE(probe);  // NOLINT: moved-from on purpose
  EXPECT_FALSE(bench.breaker.Admits(bench.now));
  moved = BreakerPermit();
  EXPECT_TRUE(bench.breaker.Admits(bench.now)) << "what was held there was given back";
  EXPECT_EQ(bench.breaker.opened_total(), 1u);
}

TEST(CircuitBreaker, OnlyTheFirstWordCounts) {
  Bench bench({.consecutive_failures = 2});
  BreakerPermit permit = bench.breaker.Take(bench.now).value();
  permit.Failure(bench.now, bench.prng);
  permit.Failure(bench.now, bench.prng);
  permit.Success(bench.now);
  EXPECT_FALSE(permit);
  EXPECT_EQ(bench.state(), kClosed);
  bench.Play("f");
  EXPECT_EQ(bench.state(), kOpen) << "the success after it was not heard";
}

TEST(CircuitBreaker, APermitOfAnEarlierGenerationIsNotHeard) {
  enum class At { kWhileOpen, kWhileHalfOpen, kProbeOut, kClosedAgain };
  for (const At at : {At::kWhileOpen, At::kWhileHalfOpen, At::kProbeOut, At::kClosedAgain}) {
    for (const char word : {'s', 'f', 'i'}) {
      Bench bench({.consecutive_failures = 1});
      BreakerPermit old = bench.breaker.Take(bench.now).value();
      bench.Play("f");
      std::optional<BreakerPermit> probe;
      if (at != At::kWhileOpen) bench.Wait();
      if (at == At::kProbeOut) probe = bench.breaker.Take(bench.now);
      if (at == At::kClosedAgain) bench.Play("s", 0ms);
      const BreakerState before = bench.state();
      const TimePoint until = bench.breaker.open_until();
      if (word == 's') old.Success(bench.now);
      if (word == 'f') old.Failure(bench.now, bench.prng);
      if (word == 'i') old.Ignored();
      EXPECT_EQ(bench.state(), before) << static_cast<int>(at) << word;
      EXPECT_EQ(bench.breaker.open_until(), until);
      EXPECT_EQ(bench.breaker.opened_total(), 1u);
      if (probe) {
        EXPECT_FALSE(bench.breaker.Admits(bench.now)) << "the probe is out yet";
        probe->Success(bench.now);
        EXPECT_EQ(bench.state(), kClosed);
      }
    }
  }
}

TEST(CircuitBreaker, GoodActiveChecksEndTheOpenTime) {
  const struct {
    const char* name;
    std::vector<std::uint32_t> good_in_a_row;
    BreakerState expected;
  } rows[] = {
      {"none", {}, kOpen},
      {"bad", {0, 0, 0}, kOpen},
      {"one", {1}, kOpen},
      {"two", {1, 2}, kHalfOpen},
      {"a bad one between", {1, 0, 1}, kOpen},
      {"two at last", {1, 0, 1, 2}, kHalfOpen},
      {"good ones from before it opened do not count", {100}, kOpen},
      {"those since do", {100, 101}, kHalfOpen},
  };
  for (const auto& row : rows) {
    Bench bench;
    bench.breaker.OnActiveChecks(99);
    bench.Play("fffff");
    for (const std::uint32_t good : row.good_in_a_row) bench.breaker.OnActiveChecks(good);
    EXPECT_EQ(bench.state(), row.expected) << row.name;
  }
}

TEST(CircuitBreaker, ActiveChecksNeitherCloseNorAddAProbe) {
  Bench bench({.healthy_after = 1});
  bench.Play("fffff");
  bench.breaker.OnActiveChecks(1);
  ASSERT_EQ(bench.state(), kHalfOpen);
  EXPECT_EQ(bench.limit.ejected(), 1u);
  auto probe = bench.breaker.Take(bench.now);
  ASSERT_TRUE(probe);
  bench.breaker.OnActiveChecks(2);
  EXPECT_FALSE(bench.breaker.Take(bench.now));
  probe->Failure(bench.now, bench.prng);
  EXPECT_EQ(bench.state(), kOpen);
  EXPECT_GT(bench.breaker.open_until() - bench.now, 8s) << "doubled";
}

TEST(CircuitBreaker, U_30_WhoMayNotOpenStaysClosedAndAsksAgain) {
  EjectionLimit limit(EjectionsAllowed(3, 0.5, false));
  Prng prng(1);
  const CircuitBreakerRules rules;
  CircuitBreaker first(rules, limit);
  CircuitBreaker second(rules, limit);
  TimePoint now{0};
  const auto fail = [&](CircuitBreaker& breaker) { breaker.Take(now)->Failure(now, prng); };
  for (int i = 0; i < 5; ++i) fail(first);
  for (int i = 0; i < 7; ++i) fail(second);
  EXPECT_EQ(first.state(now), kOpen);
  EXPECT_EQ(second.state(now), kClosed);
  EXPECT_EQ(second.opened_total(), 0u);

  now = first.open_until();
  fail(second);
  EXPECT_EQ(second.state(now), kClosed) << "the half-open one keeps its place";
  first.Take(now)->Success(now);
  EXPECT_EQ(second.state(now), kClosed) << "not without another failure";
  fail(second);
  EXPECT_EQ(second.state(now), kOpen);
}

TEST(CircuitBreaker, U_30_TheLastOpensOnlyWithAFallback) {
  for (const bool has_fallback : {false, true}) {
    EjectionLimit limit(EjectionsAllowed(1, 0.5, has_fallback));
    Prng prng(1);
    CircuitBreaker breaker({}, limit);
    for (int i = 0; i < 5; ++i) breaker.Take(TimePoint{0})->Failure(TimePoint{0}, prng);
    EXPECT_EQ(breaker.state(TimePoint{0}), has_fallback ? kOpen : kClosed);
  }
}

TEST(CircuitBreaker, WhoGoesWhileOpenGivesItsPlaceBack) {
  EjectionLimit limit(1);
  Prng prng(1);
  {
    CircuitBreaker breaker({.consecutive_failures = 1}, limit);
    breaker.Take(TimePoint{0})->Failure(TimePoint{0}, prng);
    EXPECT_EQ(limit.ejected(), 1u);
  }
  EXPECT_EQ(limit.ejected(), 0u);
}

TEST(CircuitBreaker, P_14_AClockBeforeZeroOrBackwardsIsHarmless) {
  Bench bench;
  bench.now = TimePoint{-5'000'000'000};
  bench.Play("ssssffff");
  EXPECT_EQ(bench.state(), kClosed);
  bench.Play("f", -10s);
  EXPECT_EQ(bench.state(), kOpen);
}

/// Requests every 20 ms for five minutes; the endpoint works in every other second.
TEST(CircuitBreaker, U_36_AFlappingEndpointIsEjectedForLonger) {
  Bench bench;
  std::vector<Duration> open_times;
  int failed = 0;
  for (Duration t = 0s; t < 5min; t += 20ms) {
    const bool up = t.count() / Duration(1s).count() % 2 == 0;
    bench.now = TimePoint{0} + t;
    const std::uint64_t opened = bench.breaker.opened_total();
    bench.Play(up ? "s" : "f", 0ms);
    failed += !up && bench.state() != kOpen;
    if (bench.breaker.opened_total() != opened) open_times.push_back(bench.breaker.open_until() - bench.now);
  }
  ASSERT_GE(open_times.size(), 5u);
  EXPECT_LT(open_times[0], 6s);
  for (std::size_t i = 3; i < open_times.size(); ++i) EXPECT_GE(open_times[i], 27s) << i;
  EXPECT_LE(open_times.size(), 15u);
  EXPECT_LE(failed, 15 * 4);
}

/// Four endpoints, a fallback behind them, all dead for 10 s; many requests, each looking for somebody who admits it.
TEST(CircuitBreaker, U_37_NoHerdOfProbesAndBackAtTheFirst) {
  EjectionLimit limit(EjectionsAllowed(4, 0.5, true));
  Prng prng(7);
  std::array<std::unique_ptr<CircuitBreaker>, 4> breakers;
  for (auto& breaker : breakers) breaker = std::make_unique<CircuitBreaker>(CircuitBreakerRules{}, limit);
  std::array<int, 4> probes{};
  for (Duration t = 0s; t < 60s; t += 10ms) {
    const TimePoint now = TimePoint{0} + t;
    const bool dead = t >= 1s && t < 11s;
    std::vector<std::pair<std::size_t, BreakerPermit>> at_once;  // the ends come after all were sent
    for (int request = 0; request < 8; ++request) {
      const std::size_t i = prng.Below(4);
      if (!breakers[i]->Admits(now)) continue;
      auto permit = breakers[i]->Take(now);
      if (!permit) continue;
      probes[i] += permit->probe();
      at_once.emplace_back(i, std::move(*permit));
    }
    for (auto& [i, permit] : at_once) {
      if (dead) permit.Failure(now, prng);
      if (!dead) permit.Success(now);
    }
    if (t == 10s) {
      EXPECT_EQ(limit.ejected(), 4u);
    }
  }
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_GE(probes[i], 1);
    EXPECT_LE(probes[i], 3);
    EXPECT_EQ(breakers[i]->state(TimePoint{0} + 60s), kClosed);
  }
}

}  // namespace
}  // namespace penstock::policy
