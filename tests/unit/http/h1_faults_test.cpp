// FAULTS group (b), the server's side: one row or more per case, named after it.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "support/h1_recorder.hpp"

namespace penstock::http {
namespace {

using namespace std::string_literals;

std::string Post(const std::string& fields, const std::string& body = "") {
  return "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}
std::string Chunked(const std::string& body) { return Post("Transfer-Encoding: chunked\r\n", body); }
std::string Target(const std::string& line) { return line + "\r\nHost: a\r\n\r\n"; }
std::string Host(const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; }
std::string Fields(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += "x-" + std::to_string(i) + ": v\r\n";
  return out;
}

struct Row {
  const char* name;
  std::string sent;
  const char* outcome;  ///< reason label; "ok" = one complete message
  ErrorCode code = ErrorCode::kBadRequest;
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

class H1Faults : public testing::TestWithParam<Row> {};

TEST_P(H1Faults, Outcome) {
  const Row& row = GetParam();
  H1ServerRun whole;
  whole.Feed(row.sent);
  if (std::string_view(row.outcome) == "ok") {
    EXPECT_EQ(whole.code, ErrorCode::kNone) << whole.Done();
    EXPECT_EQ(whole.ends, 1u) << whole.Done();
  } else {
    EXPECT_EQ(whole.reason, row.outcome);
    EXPECT_TRUE(std::any_of(H1Reasons().begin(), H1Reasons().end(), [&](const char* reason) {
      return whole.reason == reason;
    })) << "metrics know only the reasons of H1Reasons()";
    EXPECT_EQ(CodeName(whole.code), CodeName(row.code));
    EXPECT_FALSE(whole.codec().keep_alive());
    EXPECT_EQ(whole.ends, 0u) << "a refused message must not look complete";
  }
  H1ServerRun bytewise;
  for (const char c : row.sent) bytewise.Feed({&c, 1});
  EXPECT_EQ(bytewise.Done(), whole.Done());
}

const std::string kTooMany256 = "5;" + std::string(256, 'a') + "\r\nhello\r\n0\r\n\r\n";
const std::string kJust256 = "5;" + std::string(255, 'a') + "\r\nhello\r\n0\r\n\r\n";

std::string ManyExtensions(int chunks) {
  std::string body;
  for (int i = 0; i < chunks; ++i) body += "1;" + std::string(255, 'e') + "\r\nx\r\n";
  return body + "0\r\n\r\n";
}

const Row kRows[] = {
    {"H1_01_ClThenTe", Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "framing"},
    {"H1_01_TeThenCl", Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"), "framing"},
    {"H1_01_ClZeroAndTe", Post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "framing"},
    {"H1_01_ClAndUnknownTe", Post("Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n", "hello"), "framing"},

    {"H1_02_TwoSameCl", Post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "content_length"},
    {"H1_02_TwoDifferentCl", Post("Content-Length: 0\r\nContent-Length: 5\r\n", "hello"), "content_length"},
    {"H1_02_ListOfCl", Post("Content-Length: 1, 1\r\n", "x"), "content_length"},

    {"H1_03_Plus", Post("Content-Length: +1\r\n", "x"), "content_length"},
    {"H1_03_Minus", Post("Content-Length: -1\r\n", "x"), "content_length"},
    {"H1_03_MinusZero", Post("Content-Length: -0\r\n"), "content_length"},
    {"H1_03_Hex", Post("Content-Length: 0x1\r\n", "x"), "content_length"},
    {"H1_03_Underscore", Post("Content-Length: 1_0\r\n", "0123456789"), "content_length"},
    {"H1_03_LongestPrefix", Post("Content-Length: 1Z\r\n", "x"), "content_length"},
    {"H1_03_Empty", Post("Content-Length: \r\n"), "content_length"},
    {"H1_03_InnerSpace", Post("Content-Length: 1 0\r\n", "0123456789"), "content_length"},
    {"H1_03_Overflow", Post("Content-Length: 18446744073709551617\r\n", "x"), "content_length"},
    {"H1_03_OverflowOfTheProduct", Post("Content-Length: 99999999999999999999999\r\n", "x"), "content_length"},
    {"H1_03_LeadingZeroIsDecimal", Post("Content-Length: 010\r\n", "0123456789"), "ok"},
    {"H1_03_DecimalOverLimit", Post("Content-Length: 18446744073709551615\r\n"), "body_length",
     ErrorCode::kBodyTooLarge},

    {"H1_04_Identity", Post("Transfer-Encoding: identity\r\n"), "transfer_coding", ErrorCode::kTransferCoding},
    {"H1_04_Xchunked", Post("Transfer-Encoding: xchunked\r\n"), "transfer_coding", ErrorCode::kTransferCoding},
    {"H1_04_GzipChunked", Post("Transfer-Encoding: gzip, chunked\r\n"), "transfer_coding", ErrorCode::kTransferCoding},
    {"H1_04_ChunkedIdentity", Post("Transfer-Encoding: chunked, identity\r\n"), "transfer_coding",
     ErrorCode::kTransferCoding},
    {"H1_04_CaseDoesNotMatter", Post("Transfer-Encoding: ChUnKeD\r\n", "0\r\n\r\n"), "ok"},
    {"H1_04_BlanksAroundAreNotPart", Post("Transfer-Encoding: \t chunked\t \r\n", "0\r\n\r\n"), "ok"},

    {"H1_05_LeadingComma", Post("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"), "transfer_encoding"},
    {"H1_05_TrailingComma", Post("Transfer-Encoding: chunked,\r\n", "0\r\n\r\n"), "transfer_encoding"},
    {"H1_05_TwoHeaders", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
     "transfer_encoding"},
    {"H1_05_SecondUnknown", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
     "transfer_encoding"},
    {"H1_05_VerticalTab",
     Post("Transfer-Encoding: \x0b"
          "chunked\r\n",
          "0\r\n\r\n"),
     "control_byte"},
    {"H1_05_FormFeed",
     Post("Transfer-Encoding: \x0c"
          "chunked\r\n",
          "0\r\n\r\n"),
     "control_byte"},
    {"H1_05_NoBreakSpace",
     Post("Transfer-Encoding: \xa0"
          "chunked\r\n",
          "0\r\n\r\n"),
     "transfer_encoding"},
    {"H1_05_NextLine", Post("Transfer-Encoding: chunked\x85\r\n", "0\r\n\r\n"), "transfer_encoding"},
    {"H1_05_Parameter", Post("Transfer-Encoding: chunked;a=b\r\n", "0\r\n\r\n"), "transfer_encoding"},
    {"H1_05_Twice", Post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), "transfer_encoding"},
    {"H1_05_Quoted", Post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "transfer_encoding"},
    {"H1_05_Empty", Post("Transfer-Encoding:\r\n", "0\r\n\r\n"), "transfer_encoding"},

    {"H1_06_TeIn10", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "framing"},
    {"H1_06_UnknownTeIn10", "POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n", "framing"},

    {"H1_07_Hex", Chunked("0x1\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_Plus", Chunked("+1\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_Minus", Chunked("-1\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_Underscore", Chunked("1_0\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_Empty", Chunked("\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_EmptyBeforeExtension", Chunked(";a\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_LeadingSpace", Chunked(" 1\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_TrailingSpace", Chunked("1 \r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_NoHexDigit", Chunked("1g\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_FourteenDigits", Chunked("00000000000001\r\nx\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_07_SeventeenDigits", Chunked("10000000000000000\r\n"), "chunk_size"},
    {"H1_07_ThirteenDigits", Chunked("0000000000001\r\nx\r\n0000000000000\r\n\r\n"), "ok"},
    {"H1_07_UpperCase", Chunked("A\r\n0123456789\r\n0\r\n\r\n"), "ok"},

    {"H1_08_Name", Chunked("5;a\r\nhello\r\n0\r\n\r\n"), "ok"},
    {"H1_08_NameValue", Chunked("5;a=b;c=d\r\nhello\r\n0;x=y\r\n\r\n"), "ok"},
    {"H1_08_256Bytes", Chunked(kJust256), "ok"},
    {"H1_08_257Bytes", Chunked(kTooMany256), "chunk_extension"},
    {"H1_08_4KiBOfABody", Chunked(ManyExtensions(16)), "ok"},
    {"H1_08_MoreOfABody", Chunked(ManyExtensions(17)), "chunk_extension"},

    {"H1_09_LfInExtension", Chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_LfEndsExtension", Chunked("5;a\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_LfEndsSize", Chunked("5\nhello\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_09_CrInExtension", Chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_09_CrEndsSize", Chunked("5\rhello\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_09_QuotedValue", Chunked("5;a=\"b\"\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_QuotedLineEnd", Chunked("5;a=\"\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_NoName", Chunked("5;\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_NoValue", Chunked("5;a=\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_BlankBeforeSemicolon", Chunked("5 ;a\r\nhello\r\n0\r\n\r\n"), "chunk_size"},
    {"H1_09_BlankAfterSemicolon", Chunked("5; a\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},
    {"H1_09_Nul", Chunked("5;a\0b\r\nhello\r\n0\r\n\r\n"s), "chunk_extension"},
    {"H1_09_TwoEquals", Chunked("5;a=b=c\r\nhello\r\n0\r\n\r\n"), "chunk_extension"},

    {"H1_10_Lf", Chunked("5\r\nhello\n0\r\n\r\n"), "chunk_end"},
    {"H1_10_TwoBytes", Chunked("5\r\nhelloXX0\r\n\r\n"), "chunk_end"},
    {"H1_10_ExtraByte", Chunked("5\r\nhello!\r\n0\r\n\r\n"), "chunk_end"},
    {"H1_10_CrWithoutLf", Chunked("5\r\nhello\rX0\r\n\r\n"), "chunk_end"},
    {"H1_10_NoEnd", Chunked("5\r\nhello0\r\n\r\n"), "chunk_end"},

    {"H1_11_TwentyFields", Chunked("0\r\n" + Fields(20) + "\r\n"), "ok"},
    {"H1_11_TwentyOneFields", Chunked("0\r\n" + Fields(21) + "\r\n"), "trailer"},
    {"H1_11_EightKiB", Chunked("0\r\nx: " + std::string(8 * 1024 - 5, 'v') + "\r\n\r\n"), "ok"},
    {"H1_11_MoreThanEightKiB", Chunked("0\r\nx: " + std::string(8 * 1024 - 4, 'v') + "\r\n\r\n"), "trailer"},
    {"H1_11_NineKiB", Chunked("0\r\nx: " + std::string(9 * 1024, 'v') + "\r\n\r\n"), "trailer"},
    {"H1_11_ContentLength", Chunked("0\r\nContent-Length: 5\r\n\r\n"), "trailer"},
    {"H1_11_TransferEncoding", Chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), "trailer"},
    {"H1_11_Authorization", Chunked("0\r\nAuthorization: Bearer k\r\n\r\n"), "trailer"},
    {"H1_11_ApiKey", Chunked("0\r\nX-Api-Key: k\r\n\r\n"), "trailer"},
    {"H1_11_Host", Chunked("0\r\nHost: b\r\n\r\n"), "trailer"},
    {"H1_11_ContentType", Chunked("0\r\nContent-Type: text/plain\r\n\r\n"), "trailer"},
    {"H1_11_Range", Chunked("0\r\nRange: bytes=0-1\r\n\r\n"), "trailer"},
    {"H1_11_NoColon", Chunked("0\r\nx\r\n\r\n"), "trailer"},
    {"H1_11_EndsInLf", Chunked("0\r\nx: y\r\n\n"), "trailer"},
    {"H1_11_LfOnly", Chunked("0\r\n\n"), "trailer"},
    {"H1_11_CrX", Chunked("0\r\n\rX"), "trailer"},
    {"H1_11_RequestAsTrailer", Chunked("0\r\nX:POST / HTTP/1.1\r\n\r\n"), "ok"},
    {"H1_11_XxAsEnd",
     Chunked("0\r\nXX"
             "\r\n\r\n"),
     "trailer"},

    {"H1_12_LfLines", "GET / HTTP/1.1\nHost: a\n\n", "line_ending"},
    {"H1_12_LfEndsField", "GET / HTTP/1.1\r\nHost: a\nx: y\r\n\r\n", "line_ending"},
    {"H1_12_LfEndsHead", "GET / HTTP/1.1\r\nHost: a\r\n\n", "line_ending"},
    {"H1_12_CrInValue", "GET / HTTP/1.1\r\nHost: a\r\nx: y\rz\r\n\r\n", "line_ending"},
    {"H1_12_CrEndsHead", "GET / HTTP/1.1\r\nHost: a\r\n\rZGET /evil: HTTP/1.1\r\n\r\n", "line_ending"},
    {"H1_12_TwoCr", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "line_ending"},
    {"H1_12_NulInValue", "GET / HTTP/1.1\r\nHost: a\r\nx: y\0z\r\n\r\n"s, "control_byte"},
    {"H1_12_DelInValue", "GET / HTTP/1.1\r\nHost: a\r\nx: y\x7f\r\n\r\n", "control_byte"},
    {"H1_12_EscInValue", "GET / HTTP/1.1\r\nHost: a\r\nx: \x1b[31m\r\n\r\n", "control_byte"},
    {"H1_12_CrBeforeColon", "GET / HTTP/1.1\r\nHost: a\r\nx\r: y\r\n\r\n", "line_ending"},
    {"H1_12_TabInValueIsFine", "GET / HTTP/1.1\r\nHost: a\r\nx: y\tz\r\n\r\n", "ok"},

    {"H1_13_ObsFoldSpace", "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n z\r\n\r\n", "obs_fold"},
    {"H1_13_ObsFoldTab", "GET / HTTP/1.1\r\nHost: a\r\nx: y\r\n\tz\r\n\r\n", "obs_fold"},
    {"H1_13_ObsFoldOfTe", Post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), "obs_fold"},

    {"H1_14_SpaceBeforeColon", "GET / HTTP/1.1\r\nHost: a\r\nx : y\r\n\r\n", "field_name"},
    {"H1_14_TabBeforeColon", "GET / HTTP/1.1\r\nHost: a\r\nx\t: y\r\n\r\n", "field_name"},
    {"H1_14_LeadingSpaceOnFirst", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "obs_fold"},
    {"H1_14_LeadingTabOnFirst", "GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "obs_fold"},
    {"H1_14_EmptyName", "GET / HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n", "field_name"},
    {"H1_14_EmptyNameAndValue", "GET / HTTP/1.1\r\nHost: a\r\n:\r\nI: am here\r\n\r\n", "field_name"},
    {"H1_14_NoColon", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length 10\r\n\r\n", "field_name"},
    {"H1_14_NoColonThenColonInNextLine", "GET / HTTP/1.1\r\nHost: a\r\nx\r\ny:z\r\n\r\n", "field_name"},
    {"H1_14_EightBitName",
     "GET / HTTP/1.1\r\nHost: a\r\n\xef"
     "foo: bar\r\n\r\n",
     "field_name"},
    {"H1_14_EightBitEndOfName", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length\x85: 3\r\n\r\n", "field_name"},
    {"H1_14_CtlName", "GET / HTTP/1.1\r\nHost: a\r\nx\x01y: z\r\n\r\n", "control_byte"},
    {"H1_14_SeparatorInName", "GET / HTTP/1.1\r\nHost: a\r\nx[y]: z\r\n\r\n", "field_name"},
    {"H1_14_LongNameWithABadEnd", "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(47, 'n') + "(: z\r\n\r\n",
     "field_name"},

    {"H1_16_Missing", "GET / HTTP/1.1\r\nx: y\r\n\r\n", "host"},
    {"H1_16_Twice", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "host"},
    {"H1_16_TwiceDifferent", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "host"},
    {"H1_16_Empty", Host(""), "host"},
    {"H1_16_Userinfo", Host("u@a"), "host"},
    {"H1_16_PathAndFragment", Host("a/#@b"), "host"},
    {"H1_16_List", Host("a,b"), "host"},
    {"H1_16_Space", Host("a b"), "host"},
    {"H1_16_PortTooLarge", Host("a:98777"), "host"},
    {"H1_16_PortNoNumber", Host("a:8x"), "host"},
    {"H1_16_PortEmpty", Host("a:"), "host"},
    {"H1_16_PortNegative", Host("a:-1"), "host"},
    {"H1_16_OnlyPort", Host(":80"), "host"},
    {"H1_16_Nul", Host("a\0.b"s), "control_byte"},
    {"H1_16_EightBit",
     Host("\xff"
          "a\xff"),
     "host"},
    {"H1_16_Percent", Host("a%00"), "host"},
    {"H1_16_OpenBracket", Host("[::1"), "host"},
    {"H1_16_Zone", Host("[fe80::1%25eth0]"), "host"},
    {"H1_16_TooLong", Host(std::string(300, 'a')), "host"},
    {"H1_16_TwiceIn10", "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "host"},
    {"H1_16_Port", Host("a.example:65535"), "ok"},
    {"H1_16_Address6", Host("[2001:db8::1]:8080"), "ok"},
    {"H1_16_UnderscoreHost", Host("my_service"), "ok"},

    {"H1_17_LongMinor", Target("GET / HTTP/1.32"), "request_line"},
    {"H1_17_LongMajor", Target("GET / HTTP/4294967295.255"), "request_line"},
    {"H1_17_Http2", Target("GET / HTTP/2.0"), "version", ErrorCode::kHttpVersion},
    {"H1_17_Http12", Target("GET / HTTP/1.2"), "version", ErrorCode::kHttpVersion},
    {"H1_17_Http3", Target("GET / HTTP/3.0"), "version", ErrorCode::kHttpVersion},
    {"H1_17_Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version", ErrorCode::kHttpVersion},
    {"H1_17_Http09Named", Target("GET / HTTP/0.9"), "version", ErrorCode::kHttpVersion},
    {"H1_17_Http09", "GET /\r\n\r\n", "request_line"},
    {"H1_17_NoTarget", Target("GET HTTP/1.1"), "target"},
    {"H1_17_LowerCaseMethod", Target("get / HTTP/1.1"), "method"},
    {"H1_17_MixedCaseMethod", Target("GeT / HTTP/1.1"), "method"},
    {"H1_17_EightBitMethod", Target("G\xc9T / HTTP/1.1"), "method"},
    {"H1_17_OddMethod", Target("G=\":<>(e),[T];?\" / HTTP/1.1"), "method"},
    {"H1_17_LongMethod", Target(std::string(25, 'M') + " / HTTP/1.1"), "method"},
    {"H1_17_EmptyMethod", Target(" / HTTP/1.1"), "method"},
    {"H1_17_Binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, "method"},
    {"H1_17_LowerCaseVersion", Target("GET / http/1.1"), "request_line"},
    {"H1_17_NoMinor", Target("GET / HTTP/1"), "request_line"},
    {"H1_17_LeadingZeros", Target("GET / HTTP/01.01"), "request_line"},
    {"H1_17_SpaceInVersion", Target("GET / HTTP/ 1.1"), "request_line"},
    {"H1_17_CommaVersion", Target("GET / HTTP/1,1"), "request_line"},
    {"H1_17_SpaceAfterVersion", Target("GET / HTTP/1.1 "), "request_line"},
    {"H1_17_TwoSpacesBeforeTarget", Target("GET  / HTTP/1.1"), "target"},
    {"H1_17_TwoSpacesBeforeVersion", Target("GET /  HTTP/1.1"), "target"},
    {"H1_17_SpaceInTarget", Target("GET /a b HTTP/1.1"), "target"},
    {"H1_17_TabAsSeparator", Target("GET\t/ HTTP/1.1"), "method"},
    {"H1_17_TabInTarget", Target("GET /a\tb HTTP/1.1"), "target"},
    {"H1_17_CtlInPath", Target("GET /a\x01 HTTP/1.1"), "control_byte"},
    {"H1_17_NulInPath", Target("GET /a\0 HTTP/1.1"s), "control_byte"},
    {"H1_17_EightBitPath", Target("GET /\xc3\xa9 HTTP/1.1"), "target"},
    {"H1_17_EightBitFarInPath", Target("GET /" + std::string(40, 'p') + "\xc0\xaf HTTP/1.1"), "target"},
    {"H1_17_CrInRequestLine", Target("GET /\r HTTP/1.1"), "line_ending"},
    {"H1_17_TwoBlankLinesFirst", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "line_ending"},
    {"H1_17_BareLfFirst", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "line_ending"},
    {"H1_17_OneBlankLineFirst", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "ok"},

    {"H1_18_GetAsterisk", Target("GET * HTTP/1.1"), "target"},
    {"H1_18_OptionsAsterisk", Target("OPTIONS * HTTP/1.1"), "ok"},
    {"H1_18_Fragment", Target("GET /a#b HTTP/1.1"), "target"},
    {"H1_18_AuthorityForm", Target("GET a.example:80 HTTP/1.1"), "target"},
    {"H1_18_RelativePath", Target("GET a/b HTTP/1.1"), "target"},
    {"H1_18_Query", Target("GET ?a HTTP/1.1"), "target"},
    {"H1_18_OtherScheme", Target("GET ftp://a/ HTTP/1.1"), "target"},
    {"H1_18_NoSlashes", Target("GET http:a HTTP/1.1"), "target"},
    {"H1_18_EmptyUriHost", Target("GET http:///a HTTP/1.1"), "target"},
    {"H1_18_UriUserinfo", Target("GET http://u@a/ HTTP/1.1"), "target"},
    {"H1_18_UriBadPort", Target("GET http://a:99999/ HTTP/1.1"), "target"},
    {"H1_18_AbsoluteStillNeedsHost", "GET http://a/ HTTP/1.1\r\n\r\n", "host"},

    {"H1_19_Connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "method_refused", ErrorCode::kMethodNotAllowed},
    {"H1_19_ConnectWithoutPort", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
    {"H1_19_ConnectPath", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
    {"H1_19_Trace", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "method_refused", ErrorCode::kMethodNotAllowed},

    {"H1_27_Foo", Post("Expect: foo\r\nContent-Length: 1\r\n"), "expectation", ErrorCode::kExpectationFailed},
    {"H1_27_FooBehind100", Post("Expect: 100-continue\r\nExpect: foo\r\n"), "expectation",
     ErrorCode::kExpectationFailed},
    {"H1_27_ListWith100", Post("Expect: 100-continue, foo\r\n"), "expectation", ErrorCode::kExpectationFailed},
    {"H1_27_FooIn10", "POST / HTTP/1.0\r\nExpect: foo\r\nContent-Length: 0\r\n\r\n", "ok"},

    {"H1_30_33KiB", Post("x: " + std::string(33 * 1024, 'v') + "\r\n"), "header_bytes", ErrorCode::kHeadersTooLarge},
    {"H1_30_Exactly32KiB", Post("x: " + std::string(32 * 1024 - 9 - 5, 'v') + "\r\n"), "ok"},
    {"H1_30_OneByteMore", Post("x: " + std::string(32 * 1024 - 9 - 4, 'v') + "\r\n"), "header_bytes",
     ErrorCode::kHeadersTooLarge},
    {"H1_30_EndlessName", Post(std::string(33 * 1024, 'n')), "header_bytes", ErrorCode::kHeadersTooLarge},
    {"H1_30_100Fields", Post(Fields(99)), "ok"},
    {"H1_30_101Fields", Post(Fields(100)), "header_count", ErrorCode::kHeadersTooLarge},
    {"H1_30_Uri9KiB", Target("GET /" + std::string(9 * 1024, 'p') + " HTTP/1.1"), "uri_length", ErrorCode::kUriTooLong},
    {"H1_30_UriExactly8KiB", Target("GET /" + std::string(8 * 1024 - 1, 'p') + " HTTP/1.1"), "ok"},
    {"H1_30_UriOneByteMore", Target("GET /" + std::string(8 * 1024, 'p') + " HTTP/1.1"), "uri_length",
     ErrorCode::kUriTooLong},
    {"H1_30_EndlessMethod", std::string(9 * 1024, 'M'), "uri_length", ErrorCode::kUriTooLong},

    {"H1_31_OneByteMore", Post("Content-Length: 10485761\r\n"), "body_length", ErrorCode::kBodyTooLarge},
    {"H1_31_9e18", Post("Content-Length: 9000000000000000000\r\n"), "body_length", ErrorCode::kBodyTooLarge},
    {"H1_31_HugeChunk", Chunked("fffffffffffff\r\n"), "body_length", ErrorCode::kBodyTooLarge},
    {"H1_26_ExpectWith11MB", Post("Expect: 100-continue\r\nContent-Length: 11000000\r\n"), "body_length",
     ErrorCode::kBodyTooLarge},
};

std::string RowName(const testing::TestParamInfo<Row>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Table, H1Faults, testing::ValuesIn(kRows), RowName);

TEST(H1FaultsMore, H1_01_NothingBehindTheRefusalIsParsed) {
  H1ServerRun run;
  const std::string sent =
      Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n";
  run.Feed(sent);
  EXPECT_EQ(run.requests.size(), 0u);
  EXPECT_EQ(run.codec().state(), H1ServerCodec::State::kRejected);
  EXPECT_GT(run.untaken, 0u);
}

TEST(H1FaultsMore, H1_08_ExtensionsAndTrailersAreDropped) {
  H1ServerRun run;
  run.Feed(Chunked("5;a=b\r\nhello\r\n6;c\r\n world\r\n0;d\r\nx-checksum: 1\r\n\r\n"));
  ASSERT_EQ(run.requests.size(), 1u);
  EXPECT_EQ(run.bodies[0], "hello world");
  EXPECT_EQ(run.requests[0]->framing, Framing::kChunked);
  EXPECT_FALSE(run.requests[0]->content_length.has_value());
  EXPECT_TRUE(run.requests[0]->Find("x-checksum").empty());
}

TEST(H1FaultsMore, H1_15_UnderscoreNamesAreDropped) {
  H1ServerRun run;
  run.Feed(
      "POST / HTTP/1.1\r\nHost: a\r\nx_api_key: k\r\nContent_Length: 5\r\nTransfer_Encoding: chunked\r\n_: "
      "1\r\nx-api-key: real\r\n\r\n");
  ASSERT_EQ(run.requests.size(), 1u);
  EXPECT_EQ(run.requests[0]->size(), 2u);
  EXPECT_EQ(run.requests[0]->Find(HeaderId::kXApiKey), "real");
  EXPECT_EQ(run.requests[0]->framing, Framing::kNone);
}

TEST(H1FaultsMore, A_08_ValuesThatSomePeersSplitOrStripAreDropped) {
  H1ServerRun run;
  run.Feed(
      "GET / HTTP/1.1\r\nHost: a\r\nx-a: \x85"
      "admin\xa0\r\nx-b: caf\xc3\xa9\r\nx-c: a\xc2\x85z\r\nx-d: \xed\xa0\x80\r\n"
      "x-e: \xe2\x82\xac \xf0\x9f\x9a\x80\r\nx-f: \xc3\r\n\r\n");
  ASSERT_EQ(run.requests.size(), 1u);
  EXPECT_EQ(run.requests[0]->size(), 3u);
  EXPECT_EQ(run.requests[0]->Find("x-b"), "caf\xc3\xa9");
  EXPECT_EQ(run.requests[0]->Find("x-e"), "\xe2\x82\xac \xf0\x9f\x9a\x80");
}

TEST(H1FaultsMore, A_08_AnUncleanKeyIsAKeyAllTheSame) {
  H1ServerRun run;
  run.Feed("GET / HTTP/1.1\r\nHost: a\r\nauthorization: Bearer k\x85\r\nX-Api-Key: k\xa0\r\n\r\n");
  ASSERT_EQ(run.requests.size(), 1u);
  EXPECT_EQ(run.requests[0]->Find(HeaderId::kAuthorization), "Bearer k\x85");
  EXPECT_EQ(run.requests[0]->Find(HeaderId::kXApiKey), "k\xa0");
}

TEST(H1FaultsMore, H1_18_AbsoluteFormBeatsHost) {
  struct {
    const char* target;
    const char* authority;
    const char* path;
    const char* scheme;
  } const rows[] = {
      {"http://b.example:8080/v1/models?x=1", "b.example:8080", "/v1/models?x=1", "http"},
      {"HTTPS://B/", "B", "/", "https"},
      {"http://b", "b", "/", "http"},
      {"http://b?x=/1", "b", "/?x=/1", "http"},
      {"http://[::1]:80/a", "[::1]:80", "/a", "http"},
  };
  for (const auto& row : rows) {
    H1ServerRun run;
    run.Feed("GET " + std::string(row.target) + " HTTP/1.1\r\nHost: other.example\r\n\r\n");
    ASSERT_EQ(run.requests.size(), 1u) << row.target;
    EXPECT_EQ(run.requests[0]->authority(), row.authority);
    EXPECT_EQ(run.requests[0]->target(), row.path);
    EXPECT_EQ(run.requests[0]->scheme(), row.scheme);
    EXPECT_EQ(run.requests[0]->Find(HeaderId::kHost), "other.example");
  }
}

TEST(H1FaultsMore, H1_20_UpgradeIsAFieldLikeAnyOther) {
  H1ServerRun run;
  run.Feed(
      "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
      "AAMAAABk\r\nContent-Length: 4\r\n\r\nbody"
      "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(run.requests.size(), 2u);
  EXPECT_EQ(run.bodies[0], "body");
  EXPECT_EQ(run.requests[1]->target(), "/next");
}

TEST(H1FaultsMore, H1_21_PipelinedRequestsComeOneAtATime) {
  std::string sent;
  for (int i = 0; i < 1000; ++i) sent += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  H1ServerRun run;
  run.Feed(sent);
  ASSERT_EQ(run.requests.size(), 1000u);
  EXPECT_EQ(run.requests[999]->target(), "/999");
}

TEST(H1FaultsMore, H1_22_NothingIsTakenBehindConnectionClose) {
  H1ServerRun run;
  run.Feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nInvalid\r\n\r\n");
  EXPECT_EQ(run.requests.size(), 1u);
  EXPECT_EQ(run.ends, 1u);
  EXPECT_EQ(run.code, ErrorCode::kNone);
  EXPECT_EQ(run.untaken, 11u);
}

TEST(H1FaultsMore, H1_24_BodyOfAGetIsDelimited) {
  H1ServerRun run;
  run.Feed("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_EQ(run.requests.size(), 2u);
  EXPECT_EQ(run.bodies[0], "0123456789");
  EXPECT_EQ(run.bodies[1], "");
}

TEST(H1FaultsMore, H1_25_ExpectationIsTold) {
  struct {
    const char* sent;
    bool expect;
  } const rows[] = {
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", true},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", true},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", false},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", false},
      {"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", false},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", false},
  };
  for (const auto& row : rows) {
    H1ServerRun run;
    run.Feed(row.sent);
    ASSERT_EQ(run.requests.size(), 1u) << row.sent;
    EXPECT_EQ(run.expect_continue, row.expect) << row.sent;
  }
}

TEST(H1FaultsMore, H1_30_TheRefusedTargetIsKeptForTheLog) {
  H1ServerRun run;
  run.Feed("GET /v1/models?x HTTP/1.1\r\nHost: a\r\n bad\r\n\r\n");
  EXPECT_EQ(run.reason, "obs_fold");
  EXPECT_EQ(run.rejected_target, "/v1/models?x");
}

TEST(H1FaultsMore, H1_31_ExactlyTheLimit) {
  const std::string mib(1024 * 1024, 'b');
  H1ServerRun length;
  length.Feed(Post("Content-Length: 10485760\r\n"));
  H1ServerRun chunked;
  chunked.Feed(Chunked(""));
  for (int i = 0; i < 10; ++i) {
    length.Feed(mib);
    chunked.Feed("100000\r\n").Feed(mib).Feed("\r\n");
  }
  EXPECT_EQ(length.ends, 1u);
  EXPECT_EQ(length.bodies[0].size(), 10485760u);
  EXPECT_EQ(chunked.code, ErrorCode::kNone);
  chunked.Feed("1\r\n");
  EXPECT_EQ(chunked.code, ErrorCode::kBodyTooLarge);
  EXPECT_EQ(chunked.bodies[0].size(), 10485760u);
}

TEST(H1FaultsMore, H1_35_Http10KeepsAliveOnlyWhenAsked) {
  struct {
    const char* sent;
    bool keep_alive;
  } const rows[] = {
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nConnection: foo, Keep-Alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: foo , CLOSE\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", true},
  };
  for (const auto& row : rows) {
    H1ServerRun run;
    run.Feed(row.sent);
    ASSERT_EQ(run.ends, 1u) << row.sent;
    EXPECT_EQ(run.codec().keep_alive(), row.keep_alive) << row.sent;
    EXPECT_EQ(run.requests[0]->version,
              std::string_view(row.sent).find("1.0") == std::string_view::npos ? Version::kHttp11 : Version::kHttp10);
  }
}

}  // namespace
}  // namespace penstock::http
