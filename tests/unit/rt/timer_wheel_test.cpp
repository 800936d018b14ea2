#include "penstock/rt/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "penstock/base/prng.hpp"

namespace penstock::rt {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

struct Probe {
  explicit Probe(const TimePoint& clock)
      : now(clock), timer(this, [](void* self) { static_cast<Probe*>(self)->Fire(); }) {}
  void Fire() {
    ++fired;
    fired_at = now;
  }
  const TimePoint& now;
  Timer timer;
  int fired = 0;
  TimePoint fired_at{};
};

TEST(TimerWheel, FiresNeverEarlyAndAtMostOneMillisecondLateWhenPolledAtItsDeadlines) {
  TimePoint now{123'456'789};
  TimerWheel wheel(now);
  Prng prng(7);
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<TimePoint> deadlines;
  for (int i = 0; i < 2000; ++i) {
    probes.push_back(std::make_unique<Probe>(now));
    const std::uint64_t span = 1ull << prng.Below(44);  // up to 4.8 hours
    deadlines.push_back(now + Duration(static_cast<std::int64_t>(prng.Below(span))));
    wheel.Arm(probes.back()->timer, deadlines.back());
  }
  int turns = 0;
  while (wheel.armed() > 0) {
    const TimePoint next = wheel.NextDeadline();
    ASSERT_GT(next, now - milliseconds(1));
    now = std::max(next, now);
    wheel.Advance(now);
    ASSERT_LT(++turns, 200'000);
  }
  for (std::size_t i = 0; i < probes.size(); ++i) {
    ASSERT_EQ(probes[i]->fired, 1);
    ASSERT_GE(probes[i]->fired_at, deadlines[i]);
    ASSERT_LE(probes[i]->fired_at, std::max(deadlines[i], TimePoint{123'456'789}) + milliseconds(2)) << i;
  }
}

TEST(TimerWheel, JumpingFarAheadFiresEverythingDueAndNothingElse) {
  TimePoint now{0};
  TimerWheel wheel(now);
  Prng prng(11);
  std::vector<std::unique_ptr<Probe>> probes;
  std::vector<TimePoint> deadlines;
  for (int i = 0; i < 500; ++i) {
    probes.push_back(std::make_unique<Probe>(now));
    deadlines.push_back(TimePoint{static_cast<std::int64_t>(prng.Below(3'600'000'000'000ull))});
    wheel.Arm(probes.back()->timer, deadlines.back());
  }
  for (int step = 0; step < 40; ++step) {
    now = now + Duration(static_cast<std::int64_t>(prng.Below(200'000'000'000ull)));
    wheel.Advance(now);
    for (std::size_t i = 0; i < probes.size(); ++i) {
      if (deadlines[i] + milliseconds(1) <= now) {
        ASSERT_EQ(probes[i]->fired, 1);
      }
      if (deadlines[i] > now) {
        ASSERT_EQ(probes[i]->fired, 0);
      }
    }
  }
}

TEST(TimerWheel, CancelledAndReArmedTimersFireOnceAtTheLastDeadline) {
  TimePoint now{0};
  TimerWheel wheel(now);
  Probe a(now), b(now);
  wheel.Arm(a.timer, now + milliseconds(10));
  wheel.Arm(a.timer, now + milliseconds(500));
  wheel.Arm(b.timer, now + hours(9));
  b.timer.Cancel();
  now = now + milliseconds(100);
  wheel.Advance(now);
  EXPECT_EQ(a.fired, 0);
  now = now + milliseconds(401);
  wheel.Advance(now);
  EXPECT_EQ(a.fired, 1);
  EXPECT_EQ(wheel.armed(), 0u);
  EXPECT_EQ(wheel.NextDeadline(), TimePoint::Max());
}

TEST(TimerWheel, ACallbackMayCancelAnotherDueTimerAndReArmItself) {
  struct Pair {
    explicit Pair(TimerWheel& w) : wheel(w) {}
    TimerWheel& wheel;
    int fired = 0;
    Timer first{this, [](void* self) {
                  auto* pair = static_cast<Pair*>(self);
                  ++pair->fired;
                  pair->second.Cancel();
                  if (pair->fired == 1) pair->wheel.Arm(pair->first, TimePoint{20'000'000});
                }};
    Timer second{this, [](void*) { FAIL() << "was cancelled"; }};
  };
  TimerWheel wheel(TimePoint{0});
  Pair pair(wheel);
  wheel.Arm(pair.first, TimePoint{5'000'000});
  wheel.Arm(pair.second, TimePoint{5'000'000});
  wheel.Advance(TimePoint{6'000'000});
  EXPECT_EQ(pair.fired, 1);
  wheel.Advance(TimePoint{30'000'000});
  EXPECT_EQ(pair.fired, 2);
}

}  // namespace
}  // namespace penstock::rt
