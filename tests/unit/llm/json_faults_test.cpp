#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exact_copy.hpp"
#include "penstock/llm/request_view.hpp"

// Group (c) of the fault catalogue, rows J-01 to J-09: what may be called JSON at all. kTokenize requires no field, so
// that any object passes.
namespace penstock::llm {
namespace {

using test::ExactCopy;

/// kNone: accepted.
Error Verdict(std::string_view body, std::uint32_t depth_max = kJsonDepthDefault) {
  JsonParser parser(7, depth_max);
  const ExactCopy copy(body);
  const auto view = ParseRequest(Family::kTokenize, copy.view(), parser);
  if (view.has_value()) return {ErrorCode::kNone};
  EXPECT_LE(view.error().offset, body.size());
  EXPECT_EQ(view.error().origin, Origin::kDownstream);
  return view.error();
}

std::string InString(std::string_view bytes) { return "{\"a\":\"" + std::string(bytes) + "\"}"; }

struct Row {
  const char* name;
  std::string_view body;
  std::uint32_t offset = 0;
};
#define BYTES(literal) std::string_view(literal, sizeof(literal) - 1)

TEST(JsonFaults, J_01_InvalidUtf8IsRefusedWithItsOffset) {
  const Row rows[] = {
      {"lone continuation", BYTES("\x80")},
      {"lone lead of two", BYTES("\xC3")},
      {"truncated three", BYTES("\xE2\x82")},
      {"truncated four", BYTES("\xF0\x9F\x98")},
      {"latin-1 e acute before a letter", BYTES("\xE9t")},
      {"overlong slash in two", BYTES("\xC0\xAF")},
      {"overlong NUL in two", BYTES("\xC0\x80")},
      {"overlong in three", BYTES("\xE0\x80\xAF")},
      {"overlong in four", BYTES("\xF0\x80\x80\xAF")},
      {"six bytes", BYTES("\xFC\x83\xBF\xBF\xBF\xBF")},
      {"surrogate in UTF-8", BYTES("\xED\xA0\x80")},
      {"beyond U+10FFFF", BYTES("\xF4\x90\x80\x80")},
      {"0xFF", BYTES("\xFF")},
      {"0xFE 0xFE", BYTES("\xFE\xFE")},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    for (const std::size_t before : {0u, 3u, 60u, 200u}) {
      const std::string pad(before, 'x');
      const Error error = Verdict(InString(pad + std::string(row.body)));
      EXPECT_EQ(error.code, ErrorCode::kInvalidJson);
      EXPECT_EQ(error.offset, 6 + before);
      EXPECT_EQ(std::string_view(error.context).find(row.body), std::string_view::npos) << "bytes of the peer";
    }
    EXPECT_EQ(Verdict("{\"" + std::string(row.body) + "\":1}").code, ErrorCode::kInvalidJson) << "in a key";
    EXPECT_EQ(Verdict("{\"a\":" + std::string(row.body) + "}").code, ErrorCode::kInvalidJson) << "outside a string";
  }
  EXPECT_EQ(Verdict(InString("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF \xEF\xBF\xBF")).code,
            ErrorCode::kNone);
}

TEST(JsonFaults, J_02_OtherEncodingsAreRefused) {
  EXPECT_EQ(Verdict(BYTES("\xEF\xBB\xBF{}")).code, ErrorCode::kInvalidJson);
  EXPECT_EQ(Verdict(BYTES("\xFF\xFE{\0}\0")).code, ErrorCode::kInvalidJson);
  EXPECT_EQ(Verdict(BYTES("\xFE\xFF\0{\0}")).code, ErrorCode::kInvalidJson);
  EXPECT_EQ(Verdict(BYTES("{\0}\0")).code, ErrorCode::kInvalidJson);
  EXPECT_EQ(Verdict(BYTES("\0{\0}")).code, ErrorCode::kInvalidJson);
}

TEST(JsonFaults, J_03_LoneSurrogatesAreRefused) {
  for (const char* text : {R"(\ud800)", R"(\uDC00)", R"(\ud800x)", R"(\ud800\n)", R"(\ud800\ud800)", R"(\udc00\ud800)",
                           R"(\ud834\u0041)", R"(ok \uDBFF)", R"(\ud83d\ude0)"}) {
    const Error error = Verdict(InString(text));
    EXPECT_EQ(error.code, ErrorCode::kInvalidJson) << text;
    EXPECT_EQ(Verdict("{\"" + std::string(text) + "\":1}").code, ErrorCode::kInvalidJson) << text;
  }
  EXPECT_EQ(Verdict(InString(R"(\ud83d\ude00 \uD83D\uDE00 \uFFFF)")).code, ErrorCode::kNone);
}

std::string Nested(std::size_t depth, const char* open, const char* close) {
  std::string body = "{\"a\":";
  for (std::size_t i = 1; i < depth; ++i) body += open;
  body += "1";
  for (std::size_t i = 1; i < depth; ++i) body += close;
  return body + "}";
}

TEST(JsonFaults, J_04_DepthUpToTheLimitAndNoFurther) {
  EXPECT_EQ(Verdict(Nested(128, "[", "]")).code, ErrorCode::kNone);
  EXPECT_EQ(Verdict(Nested(128, "{\"b\":", "}")).code, ErrorCode::kNone);
  for (const std::size_t depth : {129u, 1000u, 1025u}) {
    EXPECT_EQ(Verdict(Nested(depth, "[", "]")).code, ErrorCode::kInvalidJson) << depth;
    EXPECT_EQ(Verdict(Nested(depth, "{\"b\":", "}")).code, ErrorCode::kInvalidJson) << depth;
  }
  EXPECT_EQ(Verdict(Nested(4, "[", "]"), 4).code, ErrorCode::kNone);
  EXPECT_EQ(Verdict(Nested(5, "[", "]"), 4).code, ErrorCode::kInvalidJson);
  EXPECT_EQ(Verdict("{\"a\":[{},[],{}],\"b\":{\"c\":[]}}", 3).code, ErrorCode::kNone) << "depth is not breadth";
}

TEST(JsonFaults, J_05_AHundredThousandBracketsNeedNoStack) {
  for (const char* piece : {"[", "{\"a\":", "[{\"a\":"}) {
    std::string body;
    while (body.size() < 100'000) body += piece;
    EXPECT_EQ(Verdict(body).code, ErrorCode::kInvalidJson);
    EXPECT_LE(Verdict(body).offset, 129 * 6u) << "refused at the limit, not at the end";
  }
  EXPECT_EQ(Verdict(std::string(9'000'000, '[')).code, ErrorCode::kInvalidJson);
}

TEST(JsonFaults, J_06_DuplicateKeysAtEveryDepth) {
  const Row rows[] = {
      {"top", R"({"model":"a","model":"b"})", 13},
      {"equal values", R"({"a":1,"a":1})", 7},
      {"escaped alias", R"({"model":"a","mod\u0065l":"b"})", 13},
      {"alias first", R"({"mod\u0065l":"a","model":"b"})", 18},
      {"two aliases", R"({"\u006dodel":"a","mod\u0065l":"b"})", 18},
      {"escaped slash", R"({"a/b":1,"a\/b":2})", 9},
      {"nested", R"({"x":{"messages":[],"messages":[]}})", 20},
      {"in an array", R"({"x":[1,{"k":1,"j":{"k":2},"k":3}]})", 27},
      {"empty key", R"({"":1,"":2})", 6},
      {"after a child that has the key", R"({"a":{"a":1},"a":2})", 13},
      {"long keys alike in their first eight bytes", R"({"aaaaaaaaX":1,"aaaaaaaaY":2,"aaaaaaaaX":3})", 29},
  };
  for (const Row& row : rows) {
    const Error error = Verdict(row.body);
    EXPECT_EQ(error.code, ErrorCode::kDuplicateKey) << row.name;
    EXPECT_EQ(error.offset, row.offset) << row.name;
  }
  EXPECT_EQ(Verdict(R"({"a":{"a":{"a":[{"a":1},{"a":2}]}},"A":1,"aa":2,"":3})").code, ErrorCode::kNone);
}

TEST(JsonFaults, J_06_DuplicateKeysInLargeObjects) {
  for (const int keys : {15, 16, 17, 18, 40, 5000}) {
    for (const int repeated : {0, 1, keys / 2, keys - 1}) {
      std::string body = "{";
      for (int i = 0; i < keys; ++i) body += "\"key number " + std::to_string(i) + "\":{\"key number 0\":1},";
      EXPECT_EQ(Verdict(body + "\"z\":1}").code, ErrorCode::kNone) << keys;
      const auto offset = static_cast<std::uint32_t>(body.size());
      body += "\"key n\\u0075mber " + std::to_string(repeated) + "\":1}";
      const Error error = Verdict(body);
      EXPECT_EQ(error.code, ErrorCode::kDuplicateKey) << keys << " " << repeated;
      EXPECT_EQ(error.offset, offset) << keys << " " << repeated;
    }
  }
}

TEST(JsonFaults, J_07_NumbersThatDoNotFit) {
  const std::string million_digits(1'000'000, '9');
  for (const std::string& number :
       {std::string("1e400"), std::string("-1e400"), std::string("1e99999999999"),
        std::string("-1E+99999999999999999999"), std::string("18446744073709551616"),
        std::string("-9223372036854775809"), std::string("1.8e308"), std::string("179769313486231580793e289"),
        std::string("0.00001e400"), million_digits, "-" + million_digits, million_digits + ".5",
        million_digits + "e-10"}) {
    EXPECT_EQ(Verdict("{\"a\":" + number + "}").code, ErrorCode::kInvalidJson) << number.substr(0, 40);
  }
  for (const std::string& number :
       {std::string("1e-400"), std::string("-0"), std::string("-0.0"), std::string("0e99999999999"),
        std::string("0.0e-0"), std::string("18446744073709551615"), std::string("-9223372036854775808"),
        std::string("1.7976931348623157e308"), std::string("1e308"), std::string("123456789012345678901e2"),
        std::string("1e-99999999999"), "0." + million_digits, std::string(300, '7') + ".0",
        million_digits + "e-999999"}) {
    EXPECT_EQ(Verdict("{\"a\":" + number + "}").code, ErrorCode::kNone) << number.substr(0, 40);
  }
}

TEST(JsonFaults, J_08_WhatOtherParsersForgive) {
  const Row rows[] = {
      {"NaN", R"({"a":NaN})", 5},
      {"Infinity", R"({"a":Infinity})", 5},
      {"-Infinity", R"({"a":-Infinity})", 5},
      {"block comment", R"({"a":1/* */})", 5},
      {"line comment", "{\"a\":1 // x\n}", 7},
      {"trailing comma in object", R"({"a":1,})", 7},
      {"trailing comma in array", R"({"a":[1,]})", 8},
      {"single quotes", R"({'a':1})", 1},
      {"two roots", R"({}{})", 2},
      {"garbage behind the root", R"({}x)", 2},
      {"bracket behind the root", R"({"a":1}])", 7},
      {"bare key", R"({a:1})", 1},
      {"leading zero", R"({"a":01})", 5},
      {"plus sign", R"({"a":+1})", 5},
      {"hexadecimal", R"({"a":0x1F})", 5},
      {"no digits behind the point", R"({"a":1.})", 5},
      {"True", R"({"a":True})", 5},
      {"truee", R"({"a":truee})", 5},
      {"missing comma", R"({"a":1 "b":2})", 7},
      {"string right behind a string", R"({"a":"x""y"})", 8},
      {"NUL behind the root", BYTES("{}\0"), 2},
      {"empty", "", 0},
      {"white space", " \r\n\t ", 0},
  };
  for (const Row& row : rows) {
    const Error error = Verdict(row.body);
    EXPECT_EQ(error.code, ErrorCode::kInvalidJson) << row.name;
    EXPECT_EQ(error.offset, row.offset) << row.name;
  }
}

}  // namespace
}  // namespace penstock::llm
