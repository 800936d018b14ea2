#include "penstock/policy/deadline.hpp"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{1'000'000'000'000};

TEST(Deadline, RemainingNeverGoesBelowZero) {
  const Deadline deadline = Deadline::After(kNow, 2s);
  EXPECT_EQ(deadline.Remaining(kNow), 2s);
  EXPECT_EQ(deadline.Remaining(kNow + 3s), 0s);
  EXPECT_FALSE(deadline.Expired(kNow + 2s - 1ns));
  EXPECT_TRUE(deadline.Expired(kNow + 2s));
}

TEST(Deadline, NeverIsNever) {
  EXPECT_FALSE(Deadline::Never().Expired(kNow));
  EXPECT_EQ(Deadline::Never().Remaining(kNow), Duration::max());
  EXPECT_TRUE(Deadline::After(kNow, Duration::max()).never()) << "no overflow into the past";
  EXPECT_EQ(Deadline::After(kNow, -5s).at, kNow);
}

TEST(Deadline, TheClientCanOnlyShorten) {
  EXPECT_EQ(RequestDeadline(kNow, 600s, std::nullopt).at, kNow + 600s);
  EXPECT_EQ(RequestDeadline(kNow, 600s, 5s).at, kNow + 5s);
  EXPECT_EQ(RequestDeadline(kNow, 600s, 601s).at, kNow + 600s);
  EXPECT_EQ(RequestDeadline(kNow, 600s, Duration::max()).at, kNow + 600s);
}

TEST(Deadline, TimeoutHeader) {
  const struct {
    const char* text;
    std::optional<Duration> expected;
  } rows[] = {
      {"1", 1ms},
      {"1500", 1500ms},
      {"0", std::nullopt},
      {"", std::nullopt},
      {"-1", std::nullopt},
      {"+5", std::nullopt},
      {"1.5", std::nullopt},
      {"1s", std::nullopt},
      {" 5", std::nullopt},
      {"5 ", std::nullopt},
      {"abc", std::nullopt},
      {"99999999999999999999999", Duration::max()},
      {"18446744073709551615", Duration::max()},
      {"99999999999999999999999x", std::nullopt},
  };
  for (const auto& row : rows) EXPECT_EQ(ParseTimeoutMs(row.text), row.expected) << row.text;
}

}  // namespace
}  // namespace penstock::policy
