#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "exact_copy.hpp"
#include "penstock/llm/request_view.hpp"
#include "reference_json.hpp"

// Row J-09: the shapes of the JSON parsing test suite of "Parsing JSON is a Minefield" (Nicolas Seriot), typed anew:
// values that are right or wrong in themselves are tried in every position, whole texts as they are. On the suite's
// own 318 files the walker accepts all 95 y_, refuses all 188 n_ and, of the 35 i_, accepts the two underflows.
namespace penstock::llm {
namespace {

using test::ExactCopy;
using test::ReferenceParser;

bool IsSyntaxError(std::string_view body) {
  JsonParser parser(7);
  const ExactCopy copy(body);
  const auto view = ParseRequest(Family::kTokenize, copy.view(), parser);
  return view.has_error() && view.error().code == ErrorCode::kInvalidJson;
}

#define BYTES(literal) std::string_view(literal, sizeof(literal) - 1)

// As many shapes on a line as fit.
// clang-format off
constexpr std::string_view kGoodValues[] = {
    // numbers
    "0", "-0", "7", "-7", "10", "123", "-321", "0.5", "-0.5", "123.456", "3e5", "3E5", "3e+5", "3E+5", "3e-5", "3E-5", "0e0",
    "0e+7", "0E-7", "12e34", "12.5e34", "12.5e-34", "1.0e+28", "-1.0e+28", "98765432109876543e5",
    "-0.00000000000000000000000000000000000000000000000000000000000000000000000000000000007", "123e-9999999",
    "123.456e-789",
    // literals and empty containers
    "true", "false", "null", "[]", "{}", "[[]]", "[ [ ]   ]", "{\"\":0}", "[null, 2, \"2\", {}, [], false]",
    "[3,null,null,null,4]", "{\"p\":\"q\", \"r\":\"s\"}", "{\n\"p\"\n:\n1\n}", "[8\n]", "[\t9\r]",
    // strings
    R"("")", R"(" ")", R"("plain")", R"("a/*b*/c//d")", R"("\\u0000")", R"("\\n")", R"("\\a")", R"("\"")", R"("\u0022")",
    R"("\u005C")", R"("\"\\\/\b\f\n\r\t")", R"("\u0012")", R"("\u0000")", R"("\u002C\u0107\u0822\uA66D")",
    R"("\uffff\ufffe\ufdd0")", R"("\ud834\udd1e")", R"("\uD801\uDC37\ud83d\uDE39")", R"("\uDBFF\uDFFF")",
    R"("\uD83F\uDFFE\uDBFF\uDFFE")", R"("\u200B\u2064\u00A0")", R"("new\u000Aline")", "\"\x7F\"", "\"a\x7Fz\"",
    "\"\xCF\x80\"", "\"\xE2\x80\xA8\xE2\x80\xA9\"", "\"\xEF\xBF\xBF\"", "\"\xF4\x8F\xBF\xBF\"", "\"\xF0\x9B\xBF\xBF\"",
    "\"\xE2\x82\xAC\xF0\x9D\x84\x9E\"", "\"\xE2\x8D\x82\xE3\x88\xB4\"", "{\"k\\u0000y\": 42}",
    "{\"t\":\"\\u041f\\u043e \\u0417\"}",
};

constexpr std::string_view kBadValues[] = {
    // numbers
    "+1", "++1", "-01", "-012", "012", "00", "-", "- 1", "-1.0.", "-2.", "1.", ".1", "-.1", ".-1", ".2e-3", "0.1.2", "0.3e",
    "0.3e+", "0.e1", "0E", "0E+", "0e", "0e+", "0e+-1", "1.0e", "1.0e+", "1.0e-", "1 000.0", "1eE2", "2.e3", "2.e+3",
    "2.e-3", "9.e+", "1ea", "1.2a-3", "1.8H-308", "-1x", "-123.45foo", "-foo", "1+2", "0x1", "0x42", "1_000", "1,5x",
    "Inf", "+Inf", "-Inf", "Infinity", "-Infinity", "NaN", "-NaN", "\xEF\xBC\x91", "9\xE5", "1e1\xE5", "0\xE5", "1e\xE5",
    "1e9999", "-1e+9999", "1.5e+9999", "123123e100000", "-123123e100000", "100000000000000000000",
    "-123123123123123123123", "-23746237467327689427983274983243247982324632784",
    // literals
    "tru", "fals", "nul", "truth", "True", "NULL", "nulll", "true1", "truefalse", "undefined", "*", "<.>", "<null>", "#",
    "a\xC3\xA5", "\xC3\xA9", "\xE9", "\xE2\x81\xA0", "\x0C", "\x0B",
    // strings
    "'single'", "plain", "\"", "\"open", "\"\\", "\"\\\"", R"("\x00")", R"("\a")", R"("\u")", R"("\u1")", R"("\u00A")",
    R"("\u00G0")", R"("\uqqqq")", R"("\UA66D")", R"("\\\")", "\"\\\t\"", "\"\\\xF0\x9F\x8C\x80\"", "\"\\\xE5\"", "\"\\u\xE5\"",
    "\"tab\there\"", "\"line\nfeed\"", "\"\x01\"", "\"\x1F\"", "\\n", "\\u0020\"a\"", "\"a\"b", "\"\"x", "\"a\"\"b\"",
    R"("\uD800")", R"("\uDFAA")", R"("\uD800\n")", R"("\uD800abc")", R"("\uD888\u1234")", R"("\uD800\uD800\n")",
    R"("\uDd1e\uD834")", R"("\uDd1ea")", R"("\uD834\uDd")", R"("\uD800\u")", R"("\uD800\u1")", R"("\uD800\u1x")",
    R"("\uD800\")", R"("\uD800\uD800\x")", "\"\xFF\"", "\"\xE9\"", "\"\x81\"", "\"\xC0\xAF\"", "\"\xED\xA0\x80\"", "\"\xE0\xFF\"",
    "\"\xF4\xBF\xBF\xBF\"", "\"\xFC\x83\xBF\xBF\xBF\xBF\"", "\"\xFC\x80\x80\x80\x80\x80\"", "\"\xE6\x97\xA5\xD1\x88\xFA\"",
    // containers
    "[", "[,", "[,]", "[,1]", "[1,]", "[1,,]", "[1,,2]", "[\"x\",,]", "[1 true]", "[3[4]]", "[1:2]", "[\"\": 1]", "[-]",
    "[   , \"\"]", "[\"x\"", "[1", "[1,", "[{}", "[x", "[*]", "[\x0C]", "[\"\x0B" "a\"\\f]", "[ false, nul", "[ true, fals",
    "[\"a\",\n4\n,1,", "[1]]", "[1]x", "[][]", "]", "[\xFF]", "[1}", "[{]}", "[\"a", "['", "[\"x\", truth]", "[a\xE5]",
    "{", "{]", "{,", "{[", "{[:\"x\"}", "{\"a", "{'a'", "{\"a\"", "{\"a\":", "{\"a\":\"b", "{\"a\":\"b\"", "{\"x\":true,",
    "{\"a\" \"b\"}", "{\"a\" b}", "{\"x\"::\"b\"}", "{:\"b\"}", "{\"x\", null}", "{\"a\":1,}", "{\"a\":1,,,,}",
    "{\"a\":1,,\"b\":2}", "{a: \"b\"}", "{'a':0}", "{1:1}", "{9999E9999:1}", "{null:null,null:null}", "{key: 'value'}",
    "{ \"f\" : \"b\", \"a\" }", "{\"a\":\"a\" 123}", "{\"\xB9\":\"0\",}", "{\"a\":/*c*/\"b\"}", "{\"\\uDFAA\":0}",
    "{\xF0\x9F\x87\xA8\xF0\x9F\x87\xAD}", "{}}", "{\"a\":1}}", "{\"a\":\"b\"}/**/", "{\"a\":\"b\"}/**//", "{\"a\":\"b\"}//",
    "{\"a\":\"b\"}/", "{\"a\":\"b\"}#", "{\"a\":\"b\"}#{}", "{\"a\": true} \"x\"", "{\"a\":[1}", "[\"\\{[\"\\{[\"\\{[\"\\{",
};
// clang-format on

/// The value where each kind of token may stand around it.
std::string In(int position, std::string_view value) {
  std::string text(value);
  switch (position) {
    case 0: return text;
    case 1: return "[" + text + "]";
    case 2: return "{\"k\":" + text + "}";
    case 3: return "[0, " + text + " , 1]";
    case 4: return "\n{\"k\":" + text + " ,\"l\":\"" + std::string(64, 'z') + "\"}\n";
    default: return "{\"k\":[{\"l\":" + text + "}]}";
  }
}
constexpr int kPositions = 6;

TEST(JsonFaults, J_09_GoodShapesAreNoSyntaxErrorAnywhere) {
  for (const std::string_view value : kGoodValues) {
    for (int position = 0; position < kPositions; ++position) {
      const std::string body = In(position, value);
      EXPECT_FALSE(IsSyntaxError(body)) << body;
      EXPECT_TRUE(ReferenceParser::Parse(body).json) << body;
    }
  }
}

TEST(JsonFaults, J_09_BadShapesAreRefusedEverywhere) {
  for (const std::string_view value : kBadValues) {
    for (int position = 0; position < kPositions; ++position) {
      const std::string body = In(position, value);
      // "1]" inside "[...]" and its like complete a text that is right or wrong by other means.
      const bool json = ReferenceParser::Parse(body).json;
      EXPECT_EQ(IsSyntaxError(body), !json) << body;
      EXPECT_FALSE(json && position == 0) << body;
    }
  }
}

TEST(JsonFaults, J_09_BytesThatNoTextMayHold) {
  const std::string_view bodies[] = {
      BYTES("\xEF\xBB\xBF"), BYTES("\xEF\xBB{}"), BYTES("[\0]"), BYTES("[\"a\0a\"]"),
      BYTES("[\"\\\0\"]"),   BYTES("123\0"),      BYTES("{}\0"), BYTES("\0"),
      BYTES("2@"),           BYTES(" "),          BYTES("\xE5"),
  };
  for (const std::string_view body : bodies) EXPECT_TRUE(IsSyntaxError(body));
  EXPECT_TRUE(IsSyntaxError(std::string(500, '[') + std::string(500, ']'))) << "deeper than the limit";
}

}  // namespace
}  // namespace penstock::llm
