#include "control/loop_watch.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <utility>

namespace penstock::control {
namespace {

using std::chrono::milliseconds;
constexpr Duration kTick = LoopWatch::kTick;

/// Workers whose letters are delivered when the test says so.
struct LoopWatchTest : testing::Test {
  void Tick(Duration after = kTick) {
    now = now + after;
    watch.Tick(now);
  }
  /// The worker comes to its letter `delay` after it was sent.
  void Deliver(std::size_t worker, Duration delay) {
    ASSERT_TRUE(letters[worker]);
    clock = sent[worker] + delay;
    std::exchange(letters[worker], nullptr)();
  }
  /// A second in which every letter to both workers takes so long.
  void Second(Duration first, Duration second) {
    for (int i = 0; i < 10; ++i) {
      Deliver(0, first);
      Deliver(1, second);
      Tick();
    }
  }

  TimePoint now{1'000'000'000};
  TimePoint clock{};
  std::array<LoopWatch::Letter, 2> letters;
  std::array<TimePoint, 2> sent;
  LoopWatch watch{2,
                  [this](std::size_t worker, LoopWatch::Letter letter) {
                    EXPECT_FALSE(letters[worker]) << "one at a time";
                    letters[worker] = std::move(letter);
                    sent[worker] = now;
                  },
                  [this] { return clock; }};
};

TEST_F(LoopWatchTest, TheLagIsTheLeastWithinASecondOfTheWorkerWhereItIsMost) {
  Tick();
  EXPECT_EQ(watch.Lag(), std::nullopt);
  Second(milliseconds(1), milliseconds(30));
  EXPECT_EQ(watch.Lag(), milliseconds(30));
  Deliver(0, milliseconds(1));
  Deliver(1, milliseconds(2));
  Tick();
  EXPECT_EQ(watch.Lag(), milliseconds(2)) << "one that came through at once";
  Second(milliseconds(1), milliseconds(30));
  EXPECT_EQ(watch.Lag(), milliseconds(30)) << "a second later that is forgotten";
  Deliver(0, milliseconds(90));
  Deliver(1, milliseconds(30));
  Tick();
  EXPECT_EQ(watch.Lag(), milliseconds(30)) << "one long turn is no lag";
}

TEST_F(LoopWatchTest, P_12_AWorkerThatDoesNotComeBackStandsStill) {
  Tick();
  Second(milliseconds(1), milliseconds(1));
  for (int i = 0; i < 15; ++i) {
    Deliver(0, milliseconds(1));
    Tick();
  }
  EXPECT_EQ(watch.Standing(0), Duration::zero());
  EXPECT_EQ(watch.Standing(1), 15 * kTick);
  EXPECT_EQ(watch.Lag(), 15 * kTick) << "nothing has come through for longer than a second";
  EXPECT_EQ(watch.Thread(0), ::gettid());
  Deliver(1, 15 * kTick);
  Tick();
  EXPECT_EQ(watch.Standing(1), Duration::zero());
}

TEST_F(LoopWatchTest, P_11_WhatTheWatcherSleptThroughCountsAgainstNobody) {
  Tick();
  Second(milliseconds(1), milliseconds(1));
  // SIGSTOP for ten seconds: the letters, and this thread, go on afterwards.
  Tick(std::chrono::seconds(10));
  EXPECT_TRUE(watch.overslept());
  EXPECT_LE(watch.Standing(0), kTick);
  Deliver(0, std::chrono::seconds(10));
  Deliver(1, std::chrono::seconds(10));
  Tick();
  EXPECT_FALSE(watch.overslept());
  EXPECT_EQ(watch.Lag(), std::nullopt) << "the only letter of the last second was on its way meanwhile";
  Deliver(0, milliseconds(3));
  Deliver(1, milliseconds(2));
  Tick();
  EXPECT_EQ(watch.Lag(), milliseconds(3));
}

}  // namespace
}  // namespace penstock::control
