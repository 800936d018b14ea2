#include "telemetry/line_writer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace penstock::telemetry {
namespace {

std::string Escape(std::string_view text, std::size_t room = 4096) {
  std::string out(room, '?');
  out.resize(static_cast<std::size_t>(EscapeText(text, out.data(), room) - out.data()));
  return out;
}

struct Row {
  const char* name;
  std::string_view text;
  std::string_view expected;
};

class EscapeFaults : public testing::TestWithParam<Row> {};

TEST_P(EscapeFaults, IsHarmless) { EXPECT_EQ(Escape(GetParam().text), GetParam().expected); }

// The same behind and before enough plain text to go the fast way.
TEST_P(EscapeFaults, IsHarmlessInTheMiddle) {
  for (std::size_t before = 0; before < 17; ++before) {
    const std::string pad(before, 'x');
    EXPECT_EQ(Escape(pad + std::string(GetParam().text) + "01234567"),
              pad + std::string(GetParam().expected) + "01234567");
  }
}

using namespace std::string_view_literals;
const Row kRows[] = {
    {"Plain", "/v1/chat {}[]<>&'~ !", "/v1/chat {}[]<>&'~ !"},
    {"A_09_Newline", "a\nb", "a\\nb"},
    {"J_19_CrLf", "a\r\nb\t", "a\\r\\nb\\t"},
    {"A_09_Quotes", "\"},{\"x\":\"", "\\\"},{\\\"x\\\":\\\""},
    {"A_09_Backslash", "\\", "\\\\"},
    {"A_08_Nul", "a\0b"sv, "a\\u0000b"},
    {"A_09_Ansi", "\x1b[31m", "\\u001b[31m"},
    {"A_09_Bell", "\x07", "\\u0007"},
    {"A_09_Delete", "\x7f", "\\u007f"},
    {"A_08_C1Nel", "\xc2\x85", "\\u0085"},
    {"A_09_C1Csi",
     "\xc2\x9b"
     "31m",
     "\\u009b31m"},
    {"A_08_BareC1", "\x85", "\\ufffd"},
    {"J_19_LineSeparator", "\xe2\x80\xa8|\xe2\x80\xa9", "\\u2028|\\u2029"},
    {"A_09_BidiOverride",
     "\xe2\x80\xae"
     "gpj",
     "\\u202egpj"},
    {"A_09_BidiIsolate", "\xe2\x81\xa6", "\\u2066"},
    {"Umlaut", "\xc3\xbc", "\xc3\xbc"},
    {"FirstAfterC1", "\xc2\xa0", "\xc2\xa0"},
    {"Euro", "\xe2\x82\xac", "\xe2\x82\xac"},
    {"Emoji", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
    {"LastCharacter", "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    {"A_09_BeyondUnicode", "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
    {"A_09_Overlong", "\xc0\xaf", "\\ufffd\\ufffd"},
    {"A_09_Overlong3", "\xe0\x80\xaf", "\\ufffd\\ufffd\\ufffd"},
    {"A_09_Surrogate", "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"},
    {"A_09_CutCharacter", "\xe2\x82", "\\ufffd\\ufffd"},
    {"A_09_LoneContinuation", "\x80", "\\ufffd"},
    {"A_09_Ff", "\xff", "\\ufffd"},
};
INSTANTIATE_TEST_SUITE_P(Catalogue, EscapeFaults, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(EscapeText, EveryByteAloneGivesPrintableText) {
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    for (const char out : Escape({&c, 1})) {
      EXPECT_GE(out, 0x20) << byte;
      EXPECT_LT(out, 0x7f) << byte;
    }
  }
}

TEST(EscapeText, IsNeverCutInsideACharacterOrAnEscape) {
  const struct {
    std::string_view text, expected;
    std::size_t room;
  } rows[] = {
      {"abc", "ab", 2},
      {"ab\n", "ab", 3},
      {"ab\n", "ab\\n", 4},
      {"a\x01", "a", 6},
      {"a\x01", "a\\u0001", 7},
      {"a\xe2\x82\xac", "a", 3},
      {"a\xe2\x82\xac", "a\xe2\x82\xac", 4},
      {"0123456789", "01234567", 8},
      {"0123456789", "0123456", 7},
      {"x", "", 0},
  };
  for (const auto& row : rows) EXPECT_EQ(Escape(row.text, row.room), row.expected) << row.text << ' ' << row.room;
}

TEST(LineWriter, WhatDoesNotFitIsLeftOutWhole) {
  char buffer[8];
  LineWriter line(buffer, sizeof buffer);
  line.Raw("12345");
  line.Raw("6789");
  EXPECT_EQ(line.text(), "12345");
  line.Quoted("abcdef");
  EXPECT_EQ(line.text(), "12345\"a\"");
  line.Quoted("x");
  line.Unsigned(1);
  EXPECT_EQ(line.text(), "12345\"a\"");
}

TEST(LineWriter, A_09_AFieldIsAtMostOneKibibyte) {
  EXPECT_EQ(kLogFieldMax, 1024u);
  char buffer[kLogFieldMax * 3];
  LineWriter line(buffer, sizeof buffer);
  line.Quoted(std::string(1 << 20, 'u'));
  EXPECT_EQ(line.text().size(), kLogFieldMax + 2);
  LineWriter escapes(buffer, sizeof buffer);
  escapes.Quoted(std::string(1 << 20, '\x01'));
  EXPECT_EQ(escapes.text().size(), kLogFieldMax / 6 * 6 + 2);
}

TEST(LineWriter, Numbers) {
  char buffer[256];
  LineWriter line(buffer, sizeof buffer);
  line.Unsigned(UINT64_MAX);
  line.Raw(" ");
  line.Signed(INT64_MIN);
  line.Raw(" ");
  line.Real(0.25);
  line.Raw(" ");
  line.Real(1.0 / 0.0);
  for (const double value : {300000.0, -0.0, 0.001, 999e12, 1e15, -1e-4, 5e-324}) {
    line.Raw(" ");
    line.Real(value);
  }
  for (const Duration ms : {Duration(0), Duration(999), Duration(1'000), Duration(1'050'000), Duration(1'234'567'890),
                            Duration(-5), Duration::max()}) {
    line.Raw(" ");
    line.Milliseconds(ms);
  }
  EXPECT_EQ(
      line.text(),
      "18446744073709551615 -9223372036854775808 0.25 null 300000 -0 0.001 999000000000000 1e+15 -0.0001 5e-324 0.000 "
      "0.000 0.001 1.050 1234.567 0.000 9223372036854.775");
}

TEST(TimestampText, P_14_FollowsTheClockAnywhere) {
  TimestampText timestamp;
  const struct {
    std::int64_t us;
    std::string_view expected;
  } rows[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {999'999, "1970-01-01T00:00:00.999Z"},
      {951'782'400'000'000, "2000-02-29T00:00:00.000Z"},
      {1'789'389'296'789'000, "2026-09-14T12:34:56.789Z"},
      {1'789'389'296'001'000, "2026-09-14T12:34:56.001Z"},
      {1'735'689'599'500'000, "2024-12-31T23:59:59.500Z"},
      {253'402'300'799'000'000, "9999-12-31T23:59:59.000Z"},
      {INT64_MAX, "9999-12-31T23:59:59.000Z"},
      {-1, "1970-01-01T00:00:00.000Z"},
  };
  for (const auto& row : rows) EXPECT_EQ(timestamp.Format(WallTime{row.us}), row.expected);
}

}  // namespace
}  // namespace penstock::telemetry
