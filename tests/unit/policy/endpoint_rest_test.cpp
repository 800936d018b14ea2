#include "penstock/policy/endpoint_rest.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <thread>
#include <vector>

#include "penstock/policy/retry_after.hpp"

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{1'000'000'000'000};

TEST(EndpointRest, U_18_RestsForRetryAfterButAMinuteAtMost) {
  constexpr WallTime kWall{784'111'777'000'000};  // Sun, 06 Nov 1994 08:49:37 GMT
  const struct {
    std::string_view retry_after;
    Duration rest;
  } rows[] = {
      {"2", 2s},
      {"60", 60s},
      {"61", 60s},
      {"1000000000", 60s},
      {"99999999999999999999", 60s},
      {"0", 0s},
      {"Sun, 06 Nov 1994 08:49:42 GMT", 5s},
      {"Sun, 06 Nov 1994 09:49:37 GMT", 60s},
      {"Sun, 06 Nov 1994 08:49:36 GMT", 0s},
      {"-1", 0s},
      {"1e9", 0s},
      {"abc", 0s},
  };
  for (const auto& row : rows) {
    EndpointRest rest;
    if (const auto asked = ParseRetryAfter(row.retry_after, {}, kWall)) rest.RestFor(kNow, *asked);
    EXPECT_EQ(rest.until(), row.rest == 0s ? TimePoint{0} : kNow + row.rest) << row.retry_after;
    EXPECT_EQ(rest.Resting(kNow), row.rest != 0s) << row.retry_after;
    if (row.rest != 0s) {
      EXPECT_TRUE(rest.Resting(kNow + row.rest - 1ns));
    }
    EXPECT_FALSE(rest.Resting(kNow + row.rest));
  }
}

TEST(EndpointRest, OnlyExtends) {
  EndpointRest rest;
  rest.RestFor(kNow, 10s);
  rest.RestFor(kNow + 1s, 5s);
  EXPECT_EQ(rest.until(), kNow + 10s);
  rest.RestUntil(kNow + 11s);
  EXPECT_EQ(rest.until(), kNow + 11s);
  rest.RestUntil(kNow);
  rest.RestFor(kNow, -5s);
  EXPECT_EQ(rest.until(), kNow + 11s);
  rest.RestFor(kNow, Duration::max());
  EXPECT_EQ(rest.until(), kNow + kEndpointRestMax);
}

TEST(EndpointRest, TheLongestOfTwoThreadsCounts) {
  EndpointRest rest;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&rest, t] {
      TimePoint seen{0};
      for (int i = 0; i < 20'000; ++i) {
        rest.RestUntil(kNow + Duration(t == 0 ? i : 20'000 - i));
        EXPECT_GE(rest.until(), seen);
        seen = rest.until();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(rest.until(), kNow + Duration(20'000));
}

}  // namespace
}  // namespace penstock::policy
