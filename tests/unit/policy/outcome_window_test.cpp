#include "penstock/policy/outcome_window.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "penstock/base/prng.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

/// Against an exact log: nothing older than the window, all of the last nine tenths.
TEST(OutcomeWindow, CountsBetweenNineTenthsAndAllOfTheWindow) {
  constexpr Duration kWindow = 10s;
  OutcomeWindow window(kWindow);
  Prng prng(5);
  struct End {
    TimePoint at;
    bool failed;
  };
  std::deque<End> log;
  TimePoint now{0};
  for (int i = 0; i < 20'000; ++i) {
    now = now + Duration(static_cast<std::int64_t>(prng.Below(i % 1000 == 0 ? 15'000'000'000 : 50'000'000)));
    const bool failed = prng.Below(3) == 0;
    window.Add(now, failed);
    log.push_back({now, failed});
    while (now - log.front().at >= kWindow) log.pop_front();
    std::uint32_t least = 0, least_failed = 0, most_failed = 0;
    for (const End& end : log) {
      most_failed += end.failed;
      if (now - end.at > kWindow * 9 / 10) continue;
      ++least;
      least_failed += end.failed;
    }
    ASSERT_GE(window.ended(), least);
    ASSERT_LE(window.ended(), log.size());
    ASSERT_GE(window.failed(), least_failed);
    ASSERT_LE(window.failed(), most_failed);
  }
}

TEST(OutcomeWindow, ClearForgets) {
  OutcomeWindow window(1s);
  window.Add(TimePoint{0} + 5s, true);
  EXPECT_EQ(window.failed(), 1u);
  window.Clear();
  EXPECT_EQ(window.ended(), 0u);
  window.Add(TimePoint{0} + 5s, false);
  EXPECT_EQ(window.ended(), 1u);
  EXPECT_EQ(window.failed(), 0u);
}

TEST(OutcomeWindow, NoWindowAtAllIsTheShortest) {
  OutcomeWindow window(0s);
  window.Add(TimePoint{0} + 1s, true);
  window.Add(TimePoint{0} + 2s, true);
  EXPECT_EQ(window.ended(), 1u);
}

}  // namespace
}  // namespace penstock::policy
