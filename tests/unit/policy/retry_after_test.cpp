#include "penstock/policy/retry_after.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::policy {
namespace {

using namespace std::chrono_literals;

// Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110.
constexpr WallTime kNow{784111777LL * 1'000'000};

struct Row {
  const char* name;
  const char* retry_after;
  const char* retry_after_ms;
  std::optional<Duration> expected;
};

class RetryAfterFaults : public testing::TestWithParam<Row> {};

TEST_P(RetryAfterFaults, Parse) {
  EXPECT_EQ(ParseRetryAfter(GetParam().retry_after, GetParam().retry_after_ms, kNow), GetParam().expected);
}

const Row kRows[] = {
    {"U_18_Two", "2", "", 2s},
    {"U_18_Zero", "0", "", 0s},
    {"U_18_Minus", "-1", "", std::nullopt},
    {"U_18_Plus", "+1", "", std::nullopt},
    {"U_18_Abc", "abc", "", std::nullopt},
    {"U_18_Exponent", "1e9", "", std::nullopt},
    {"U_18_BillionSaturates", "1000000000", "", kRetryAfterMax},
    {"U_18_BeyondUint64", "99999999999999999999999999", "", kRetryAfterMax},
    {"U_18_LeadingZeros", "0000000000000000000000000002", "", 2s},
    {"U_18_Fraction", "2.5", "", 2500ms},
    {"U_18_LongFraction", "0.0000000019999", "", 1ns},
    {"U_18_TwoPoints", "1.2.3", "", std::nullopt},
    {"U_18_PointFirst", ".5", "", std::nullopt},
    {"U_18_PointLast", "5.", "", std::nullopt},
    {"U_18_Space", "2 ", "", std::nullopt},
    {"U_18_Hex", "0x10", "", std::nullopt},
    {"U_18_Unit", "2s", "", std::nullopt},
    {"U_18_Empty", "", "", std::nullopt},
    {"U_18_ImfFixdate", "Sun, 06 Nov 1994 08:50:37 GMT", "", 60s},
    {"U_18_Rfc850", "Sunday, 06-Nov-94 08:50:37 GMT", "", 60s},
    {"U_18_Asctime", "Sun Nov  6 08:50:37 1994", "", 60s},
    {"U_18_PastDate", "Sun, 06 Nov 1994 08:00:00 GMT", "", 0s},
    {"U_18_Epoch", "Thu, 01 Jan 1970 00:00:00 GMT", "", 0s},
    {"U_18_YearZero", "Sat, 01 Jan 0000 00:00:00 GMT", "", 0s},
    {"U_18_FarDateSaturates", "Fri, 31 Dec 9999 23:59:59 GMT", "", kRetryAfterMax},
    {"U_18_LeapSecond", "Sun, 06 Nov 1994 08:49:60 GMT", "", 23s},
    {"U_18_LeapDay", "Thu, 29 Feb 1996 08:49:37 GMT", "", 480 * 24h},
    {"U_18_NoLeapDay", "Wed, 29 Feb 1995 08:49:37 GMT", "", std::nullopt},
    {"U_18_Rfc850NextCentury", "Monday, 06-Nov-00 08:49:37 GMT", "", 0s},
    {"U_18_Day32", "Sun, 32 Nov 1994 08:50:37 GMT", "", std::nullopt},
    {"U_18_Hour24", "Sun, 06 Nov 1994 24:50:37 GMT", "", std::nullopt},
    {"U_18_OtherZone", "Sun, 06 Nov 1994 08:50:37 CET", "", std::nullopt},
    {"U_18_LowerCase", "sun, 06 nov 1994 08:50:37 gmt", "", std::nullopt},
    {"U_18_Cut", "Sun, 06 Nov 1994 08:50:37", "", std::nullopt},
    {"U_18_Trailing", "Sun, 06 Nov 1994 08:50:37 GMT;", "", std::nullopt},
    {"Milliseconds", "", "1500", 1500ms},
    {"MillisecondsWin", "60", "250", 250ms},
    {"BadMillisecondsYield", "3", "soon", 3s},
    {"MillisecondsFraction", "", "0.5", 500us},
    {"MillisecondsSaturate", "", "9999999999999999", kRetryAfterMax},
    {"MillisecondsTakeNoDate", "", "Sun, 06 Nov 1994 08:50:37 GMT", std::nullopt},
};
INSTANTIATE_TEST_SUITE_P(Catalogue, RetryAfterFaults, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(RetryAfter, ATwoDigitYearIsTheNearestOne) {
  constexpr WallTime k2026{1'789'000'000LL * 1'000'000};  // 10 Sep 2026
  EXPECT_GT(ParseRetryAfter("Thursday, 10-Sep-76 00:00:00 GMT", "", k2026).value(), 24h * 365 * 31) << "2076";
  EXPECT_EQ(ParseRetryAfter("Friday, 10-Sep-77 00:00:00 GMT", "", k2026), Duration::zero()) << "1977";
}

}  // namespace
}  // namespace penstock::policy
