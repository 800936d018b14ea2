#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "penstock/policy/circuit_breaker.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBreakers = 5;

/// What a breaker with only the rule of failures in a row must do, kept the plain way: every permit knows in which stay
/// of the closed state it was taken.
struct Model {
  BreakerState state = BreakerState::kClosed;
  bool early = false;  ///< active checks ended the open time
  bool probe_out = false;
  int stay = 0;
  std::uint32_t failures = 0;
  std::uint32_t checks = 0;
  std::uint64_t opened = 0;
  bool only_successes = true;

  BreakerState StateAt(TimePoint now, TimePoint until) const {
    if (state != BreakerState::kOpen) return state;
    return early || probe_out || now >= until ? BreakerState::kHalfOpen : BreakerState::kOpen;
  }
  void Open() {
    state = BreakerState::kOpen;
    early = probe_out = false;
    checks = 0;
    ++opened;
    ++stay;
  }
};

struct Held {
  std::size_t breaker;
  int stay;
  bool probe;
  BreakerPermit permit;
};

/// Five breakers, one limit, one random event after the other; the model says what must come of it.
class Interleaving {
 public:
  explicit Interleaving(std::uint64_t seed) : chance_(seed), prng_(~seed) {
    for (auto& breaker : breakers_) breaker = std::make_unique<CircuitBreaker>(rules_, limit_);
  }

  void Step() {
    now_ =
        now_ + Duration(static_cast<std::int64_t>(chance_.Below(chance_.Below(50) == 0 ? 8'000'000'000 : 20'000'000)));
    const std::size_t b = chance_.Below(kBreakers);
    const std::uint64_t event = chance_.Below(100);
    if (event < 55) {
      Take(b);
    } else if (event < 97) {
      End();
    } else {
      Check(b);
    }
    Compare();
  }

  std::uint64_t opened() const {
    std::uint64_t sum = 0;
    for (const Model& model : models_) sum += model.opened;
    return sum;
  }

 private:
  void Take(std::size_t b) {
    if (held_.size() > 40) return;
    Model& model = models_[b];
    const BreakerState state = model.StateAt(now_, breakers_[b]->open_until());
    const bool expected = state == BreakerState::kClosed || (state == BreakerState::kHalfOpen && !model.probe_out);
    ASSERT_EQ(breakers_[b]->Admits(now_), expected);
    auto permit = breakers_[b]->Take(now_);
    ASSERT_EQ(permit.has_value(), expected);
    if (!permit) return;
    ASSERT_EQ(permit->probe(), state == BreakerState::kHalfOpen);
    model.probe_out |= permit->probe();
    held_.push_back({b, model.stay, permit->probe(), std::move(*permit)});
  }

  void End() {
    if (held_.empty()) return;
    const std::size_t which = chance_.Below(held_.size());
    std::swap(held_[which], held_.back());
    Held held = std::move(held_.back());
    held_.pop_back();
    Model& model = models_[held.breaker];
    const std::uint64_t word = chance_.Below(100);
    // Breaker 0 never fails, the others fail more or less.
    const std::uint64_t failing = held.breaker * 18;
    if (word < failing) {
      held.permit.Failure(now_, prng_);
      OnFailure(model, held);
    } else if (word < 95) {
      held.permit.Success(now_);
      OnSuccess(model, held);
    } else {
      if (word < 98) held.permit.Ignored();
      if (held.probe) {
        model.probe_out = false;
        model.early = true;
      }
    }
  }

  void OnFailure(Model& model, const Held& held) {
    if (held.stay != model.stay) return;  // the generation rule; a probe is always of this one
    if (held.probe) {
      model.Open();
      return;
    }
    if (++model.failures < rules_.consecutive_failures || ejected_ == limit_.allowed()) return;
    ++ejected_;
    model.Open();
  }

  void OnSuccess(Model& model, const Held& held) {
    if (held.stay != model.stay) return;
    model.failures = 0;
    if (!held.probe) return;
    model.state = BreakerState::kClosed;
    model.early = model.probe_out = false;
    ++model.stay;
    --ejected_;
  }

  void Check(std::size_t b) {
    good_[b] = chance_.Below(3) == 0 ? 0 : good_[b] + 1;
    breakers_[b]->OnActiveChecks(good_[b]);
    Model& model = models_[b];
    if (model.state != BreakerState::kOpen || model.probe_out || model.early) return;
    if (std::min(++model.checks, good_[b]) >= rules_.healthy_after) model.early = true;
  }

  void Compare() {
    ASSERT_EQ(limit_.ejected(), ejected_);
    ASSERT_LE(ejected_, 2u);
    std::array<int, kBreakers> probes{};
    for (const Held& held : held_) probes[held.breaker] += held.probe;
    for (std::size_t b = 0; b < kBreakers; ++b) {
      ASSERT_LE(probes[b], 1) << "one probe at a time";
      ASSERT_EQ(breakers_[b]->state(now_), models_[b].StateAt(now_, breakers_[b]->open_until())) << b;
      ASSERT_EQ(breakers_[b]->opened_total(), models_[b].opened) << b;
    }
    ASSERT_EQ(breakers_[0]->state(now_), BreakerState::kClosed) << "it saw only successes";
  }

  const CircuitBreakerRules rules_{.failure_ratio = 0, .open = 1s, .open_max = 4s};
  EjectionLimit limit_{EjectionsAllowed(kBreakers, 0.5, false)};
  Prng chance_;
  Prng prng_;
  TimePoint now_{0};
  std::array<std::unique_ptr<CircuitBreaker>, kBreakers> breakers_;
  std::array<Model, kBreakers> models_;
  std::array<std::uint32_t, kBreakers> good_{};
  std::uint32_t ejected_ = 0;
  std::vector<Held> held_;  ///< goes before the breakers
};

TEST(CircuitBreakerProperty, U_30_RandomInterleavingsFollowTheModel) {
  std::uint64_t opened = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Interleaving run(seed);
    for (int i = 0; i < 10'000 && !testing::Test::HasFatalFailure(); ++i) run.Step();
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "seed " << seed;
    opened += run.opened();
  }
  EXPECT_GT(opened, 1'000u) << "the runs were about something";
}

/// Two workers reach for the probe in the same instant, again and again.
TEST(CircuitBreakerProperty, U_30_OneOfTwoThreadsGetsTheProbe) {
  constexpr int kRounds = 3'000;
  EjectionLimit limit(1);
  CircuitBreaker breaker({.consecutive_failures = 1, .open = 1ms, .open_max = 1ms}, limit);
  Prng prng(1);
  breaker.Take(TimePoint{0})->Failure(TimePoint{0}, prng);
  std::atomic<int> arrived{0};
  std::array<std::atomic<int>, kRounds> probes{};
  const auto meet = [&arrived](int all) {
    arrived.fetch_add(1);
    while (arrived.load() < all) std::this_thread::yield();
  };
  const auto reach = [&] {
    for (int i = 0; i < kRounds; ++i) {
      meet(4 * i + 2);
      const std::optional<BreakerPermit> permit = breaker.Take(TimePoint{0} + 1s);
      probes[static_cast<std::size_t>(i)] += permit.has_value();
      meet(4 * i + 4);  // both have tried; then the probe is given back
    }
  };
  std::thread other(reach);
  reach();
  other.join();
  for (const std::atomic<int>& taken : probes) ASSERT_EQ(taken, 1);
}

/// Two workers, both rules, no model: what must hold among threads.
TEST(CircuitBreakerProperty, U_30_TwoThreads) {
  EjectionLimit limit(EjectionsAllowed(3, 0.5, false));
  const CircuitBreakerRules rules{.consecutive_failures = 3, .min_requests = 5, .open = 1ms, .open_max = 4ms};
  std::array<std::unique_ptr<CircuitBreaker>, 3> breakers;
  for (auto& breaker : breakers) breaker = std::make_unique<CircuitBreaker>(rules, limit);
  std::array<std::atomic<int>, 3> probes{};
  std::atomic<std::int64_t> clock{1};
  std::atomic<bool> broken{false};
  std::atomic<int> probed{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      Prng prng(t + 1);
      for (int i = 0; i < 30'000; ++i) {
        const TimePoint now{clock.fetch_add(10'000)};
        const std::size_t b = prng.Below(3);
        if (prng.Below(20) == 0) breakers[b]->OnActiveChecks(static_cast<std::uint32_t>(prng.Below(4)));
        auto permit = breakers[b]->Take(now);
        if (!permit) continue;
        const bool probe = permit->probe();
        if (probe && probes[b].fetch_add(1) != 0) broken = true;
        if (limit.ejected() > limit.allowed()) broken = true;
        probed += probe;
        if (probe) probes[b].fetch_sub(1);  // before it ends: after that the next may be out
        const std::uint64_t word = b == 0 ? 0 : prng.Below(10);
        if (word < 4) permit->Success(now);
        if (word >= 4 && word < 9) permit->Failure(now, prng);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(broken);
  EXPECT_GT(probed, 10);
  EXPECT_EQ(breakers[0]->opened_total(), 0u);
  const TimePoint end{clock.load()};
  std::uint32_t ejected = 0;
  for (const auto& breaker : breakers) ejected += breaker->state(end) != BreakerState::kClosed;
  EXPECT_EQ(limit.ejected(), ejected);
}

}  // namespace
}  // namespace penstock::policy
