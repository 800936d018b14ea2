#include "penstock/base/parse.hpp"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(ParseInteger, TakesDecimalDigitsOnly) {
  EXPECT_EQ(*ParseInteger("0"), 0u);
  EXPECT_EQ(*ParseInteger("18446744073709551615"), UINT64_MAX);
  for (const char* text :
       {"", " 1", "1 ", "+1", "-1", "01", "0x10", "1e3", "1.0", "1_000", "18446744073709551616", "nan", "٣"}) {
    EXPECT_FALSE(ParseInteger(text).has_value()) << text;
  }
  EXPECT_TRUE(ParseInteger("256", 256).has_value());
  EXPECT_FALSE(ParseInteger("257", 256).has_value());
}

TEST(ParseNumber, TakesFinitePlainDecimals) {
  EXPECT_EQ(*ParseNumber("0"), 0.0);
  EXPECT_EQ(*ParseNumber("0.25"), 0.25);
  EXPECT_EQ(*ParseNumber("33"), 33.0);
  for (const char* text :
       {"", ".", ".5", "5.", "1.2.3", "nan", ".nan", ".inf", "inf", "-0.5", "+1", "1e3", "0x1p3", "00.5"}) {
    EXPECT_FALSE(ParseNumber(text).has_value()) << text;
  }
  EXPECT_FALSE(ParseNumber(std::string(400, '9')).has_value()) << "overflow";
}

TEST(ParseDuration, NeedsAWholeNumberAndAUnit) {
  using namespace std::chrono_literals;
  EXPECT_EQ(*ParseDuration("250ms"), 250ms);
  EXPECT_EQ(*ParseDuration("10s"), 10s);
  EXPECT_EQ(*ParseDuration("5m"), 5min);
  EXPECT_EQ(*ParseDuration("1h"), 1h);
  EXPECT_EQ(*ParseDuration("7us"), 7us);
  EXPECT_EQ(*ParseDuration("0"), 0s);
  EXPECT_EQ(*ParseDuration("0s"), 0s);
  for (const char* text : {"", "10", "s", "10 s", "10S", "10sec", "1h30m", "1.5s", "-1s", "+1s", "1e3s", "NaNs", "010s",
                           "9223372037s", "3000000h"}) {
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
  }
  EXPECT_TRUE(ParseDuration("9223372036s").has_value()) << "just below 2^63 ns";
  EXPECT_STREQ(ParseDuration("10").error().message, "needs a unit, as in 250ms, 10s, 5m or 1h");
  EXPECT_STREQ(ParseDuration("-1s").error().message, "must not be negative");
}

TEST(ParseSize, NeedsAWholeNumberAndABinaryUnit) {
  EXPECT_EQ(*ParseSize("512B"), 512u);
  EXPECT_EQ(*ParseSize("64KiB"), 65536u);
  EXPECT_EQ(*ParseSize("10MiB"), 10u << 20);
  EXPECT_EQ(*ParseSize("1GiB"), 1u << 30);
  EXPECT_EQ(*ParseSize("0"), 0u);
  for (const char* text :
       {"10", "10MB", "10M", "10mib", "1.5MiB", "-1B", "MiB", "10MiB/s", "8589934592GiB", "99999999999999999999B"}) {
    EXPECT_FALSE(ParseSize(text).has_value()) << text;
  }
  EXPECT_EQ(*ParseRate("1KiB/s"), 1024u);
  for (const char* text : {"1KiB", "1/s", "1KiB/m", "1KiBs"}) EXPECT_FALSE(ParseRate(text).has_value()) << text;
}

TEST(Print, ParsesBack) {
  for (const char* text : {"0s", "1us", "250ms", "1500ms", "90s", "600s", "86400s"}) {
    EXPECT_EQ(PrintDuration(*ParseDuration(text)), text);
  }
  for (const char* text : {"0B", "1B", "1023B", "1KiB", "1025B", "10MiB", "1536MiB", "2GiB"}) {
    EXPECT_EQ(PrintSize(*ParseSize(text)), text);
  }
  EXPECT_EQ(PrintDuration(std::chrono::minutes(5)), "300s");
  EXPECT_EQ(PrintRate(2048), "2KiB/s");
  EXPECT_EQ(PrintNumber(0.25), "0.25");
  EXPECT_EQ(PrintNumber(33), "33");
}

}  // namespace
}  // namespace penstock
