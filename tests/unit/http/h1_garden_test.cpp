// The bug classes that the HTTP Garden project found in servers (S) and in proxies (P), by its numbers, one payload of
// our own for each: what would let a lenient parser in front of us, or behind us, see another message than we do.

#include <gtest/gtest.h>

#include <string>

#include "support/h1_recorder.hpp"

namespace penstock::http {
namespace {

using namespace std::string_literals;

struct Row {
  const char* name;
  std::string sent;
  const char* reason;        ///< of the refusal; "ok" when all of it is well-formed for us
  std::size_t requests = 0;  ///< heads that come through before the end or the refusal
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

class H1Garden : public testing::TestWithParam<Row> {};

TEST_P(H1Garden, IsSeenOneWay) {
  const Row& row = GetParam();
  H1ServerRun run;
  run.Feed(row.sent);
  EXPECT_EQ(run.code == ErrorCode::kNone ? "ok" : run.reason, row.reason) << run.Done();
  EXPECT_EQ(run.requests.size(), row.requests) << run.Done();
  for (const HeadPtr& head : run.requests) EXPECT_NE(head->target(), "/evil");
  H1ServerRun bytewise;
  for (const char c : row.sent) bytewise.Feed({&c, 1});
  EXPECT_EQ(bytewise.Done(), run.Done());
}

std::string Head(const std::string& fields) {
  return "POST /front HTTP/1.1\r\nHost: garden.example\r\n" + fields + "\r\n";
}
std::string Chunks(const std::string& body) { return Head("Transfer-Encoding: chunked\r\n") + body; }
const std::string kEvil = "GET /evil HTTP/1.1\r\nHost: garden.example\r\n\r\n";

const Row kRows[] = {
    {"S01_PythonIntChunkSize", Chunks("1_1\r\nabcdefghijklmnopq\r\n0\r\n\r\n"), "chunk_size", 1},
    {"S02_NulCrLfInValue", Head("X-Note: one\0two\r\n"s), "control_byte"},
    {"S03_BlankBehindName", Head("Content-Length : 45\r\n") + kEvil, "field_name"},
    {"S04_BlankBeforeFirstName", "POST / HTTP/1.1\r\n\tContent-Length: 3\r\nHost: a\r\n\r\nabc", "obs_fold"},
    {"S05_VersionPrefix", "GET / HTTP/1.15\r\nHost: a\r\n\r\n", "request_line"},
    {"S06_MethodPrefix", "GET<script> / HTTP/1.1\r\nHost: a\r\n\r\n", "method"},
    {"S07_UriNotValidated", "GET ~~ HTTP/1.1\r\nHost: a\r\n\r\n", "target"},
    {"S08_NonAsciiName", Head("\xc3\xa4-name: x\r\n"), "field_name"},
    {"S09_LfAsSeparator", "GET /\nHTTP/1.1\r\nHost: a\r\n\r\n", "line_ending"},
    {"S10_PythonIntLength", Head("Content-Length: 4_4\r\n") + kEvil, "content_length"},
    {"S11_TwoTransferEncodings",
     Head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + kEvil, "transfer_encoding"},
    {"S12_UnicodeBlanksAroundValue",
     Head("Transfer-Encoding: \x85"
          "chunked\x85\r\n") +
         "0\r\n\r\n",
     "transfer_encoding"},
    {"S13_CrEndsFieldLine", Head("X-Note: a\rContent-Length: 44\r\n") + kEvil, "line_ending"},
    {"S14_SeparatorsInName", Head("Content(Length): 44\r\n") + kEvil, "field_name"},
    {"S14_ControlsInName", Head("Content\x0bLength: 44\r\n") + kEvil, "control_byte"},
    {"S15_VersionNotValidated", "GET / HTTP/one.one\r\nHost: a\r\n\r\n", "request_line"},
    {"S16_EmptyLength", Head("Content-Length:\r\n") + kEvil, "content_length"},
    {"S17_EmptyChunkSize", Chunks("\r\n\r\n" + kEvil), "chunk_size", 1},
    {"S18_EmptyName", Head(": nothing\r\n") + kEvil, "field_name"},
    {"S19_BlankLinesInValue", Head("X-Note:\n\n") + kEvil, "line_ending"},
    {"S20_UnicodeBlanksBehindName", Head("Content-Length\xa0: 44\r\n") + kEvil, "field_name"},
    {"S21_CommaChunked", Head("Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n", "framing"},
    {"S22_ChunkSizePrefix", Chunks("0zz\r\n\r\n" + kEvil), "chunk_size", 1},
    {"S23_TwoLengthsFirstWins", Head("Content-Length: 44\r\nContent-Length: 0\r\n") + kEvil, "content_length"},
    {"S24_VersionOverflow", "GET / HTTP/257.257\r\nHost: a\r\n\r\n", "request_line"},
    {"S25_StrtollChunkSize", Chunks("-0\r\n\r\n" + kEvil), "chunk_size", 1},
    {"S26_NegativeLength", Head("Content-Length: -44\r\n") + kEvil, "content_length"},
    {"S27_ColonOnlyLineEndsHead", Head(":\r\nContent-Length: 44\r\n") + kEvil, "field_name"},
    {"S28_NoColon", Head("Content-Length 44\r\n") + kEvil, "field_name"},
    {"S29_LengthPrefix", Head("Content-Length: 44, please\r\n") + kEvil, "content_length"},
    {"S30_CrAnyEndsHead", "GET / HTTP/1.1\r\nHost: a\r\n\r!" + kEvil, "line_ending"},
    {"S31_CrAnyEndsChunkLine", Chunks("3\r\r;abc\r\n0\r\n\r\n" + kEvil), "chunk_size", 1},
    {"S32_StrtollLength", Head("Content-Length: 0x2c\r\n") + kEvil, "content_length"},
    {"S32_OctalIsDecimal", Head("Content-Length: 012\r\n") + "abcdefghijkl", "ok", 1},
    {"S33_TwoLengthsLastWins", Head("Content-Length: 0\r\nContent-Length: 44\r\n") + kEvil, "content_length"},
    {"S34_CrInValue", Head("X-Note: a\rb\r\n"), "line_ending"},
    {"S35_ValueCutAtNul", Head("X-Note: keep\0drop\r\n"s), "control_byte"},
    {"S36_CrInExtensionBlanks", Chunks("2;a=b\r\rXX\r\n0\r\n\r\n" + kEvil), "chunk_size", 1},
    {"S37_NameAcrossLines", Head("Transfer-\r\nEncoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n",
     "field_name"},
    {"S38_EmptyLengthUntilClose", Head("Content-Length: \r\n") + kEvil, "content_length"},
    {"S39_BodyEndsInCrlfAny", Chunks("0\r\nXXGET /evil HTTP/1.1\r\n\r\n"), "trailer", 1},
    {"S39_TrailerIsNoRequest", Chunks("0\r\nX: GET /evil HTTP/1.1\r\n\r\n"), "ok", 1},
    {"S40_MethodNotValidated", "\x01\x02 / HTTP/1.1\r\nHost: a\r\n\r\n", "method"},
    {"S41_UnicodeBlanksInOtherValues", Head("X-User: \x85root\xa0\r\n"), "ok", 1},
    {"S42_EmptyLengthThenAnother", Head("Content-Length: \r\nContent-Length: 44\r\n") + kEvil, "content_length"},
    {"S43_NulBehindValue", Head("X-Note: a\0\r\n"s), "control_byte"},
    {"S44_UnknownCodingIsChunked", Head("Transfer-Encoding: blurred\r\n") + "0\r\n\r\n", "transfer_coding"},
    {"S45_JunkBehindClose", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n!!\r\n", "ok", 1},
    {"S46_EightBitAroundHost",
     "POST / HTTP/1.1\r\nHost: \xff"
     "a\xff\r\n\r\n",
     "host"},
    {"S46_EightBitAroundCoding",
     Head("Transfer-Encoding: \xff"
          "chunked\xff\r\n") +
         "0\r\n\r\n",
     "transfer_encoding"},
    {"S47_ResyncBehindBadChunk", Chunks("what?\r\n" + kEvil), "chunk_size", 1},
    {"S48_PipelinedIsNoBody",
     Head("Content-Length: 0\r\n") + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi" +
         "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
     "ok", 3},

    {"P01_HexLength", Head("Content-Length: 0x10\r\n") + "Z", "content_length"},
    {"P02_AnyChunkSize", Chunks("G\r\nGG\r\nGGG\r\n\r\n"), "chunk_size", 1},
    {"P03_CrBeforeSemicolon", Chunks("2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n" + kEvil), "chunk_size", 1},
    {"P04_BadChunkDropsBody", Chunks("1\r0\n"), "chunk_size", 1},
    {"P05_EmptyLengthForwarded", "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: \r\n\r\n", "content_length"},
    {"P06_BadNameForwarded", Head("Name\x80: x\r\n"), "field_name"},
    {"P07_ChunkSizePrefixForwarded", Chunks("1 and the rest\r\nZ\r\n0\r\n\r\n"), "chunk_size", 1},
    {"P09_CommaChunkedIsChunked", Head("Transfer-Encoding: ,chunked\r\n") + "0\r\n\r\n", "transfer_encoding"},
    {"P10_CrInValueForwarded", Head("X-Note: a\rb\rc\r\n"), "line_ending"},
    {"P11_EmptyThenLength", "GET / HTTP/1.1\r\nHost: a\r\ncontent-length: \r\ncontent-length: 44\r\n\r\n" + kEvil,
     "content_length"},
    {"P12_NulInHost", "GET / HTTP/1.1\r\nHost: good.example\0.evil.example\r\n\r\n"s, "control_byte"},
    {"P13_LfEndsChunk", Chunks("4\r\nabcd\n0\r\n\r\n"), "chunk_end", 1},
    {"P14_NoColonForwarded", Head("Te\nst: x\r\n"), "line_ending"},
    {"P15_UnknownCodingAndLength", Head("Transfer-Encoding: vague\r\nContent-Length: 5\r\n") + "0\r\n\r\n", "framing"},
    {"P16_LfLines", "GET / HTTP/1.1\nHost: a\n\n", "line_ending"},
    {"P17_ExtraCrlfBeforeLastChunk", Chunks("3\r\nabc\r\n\r\n0\r\n\r\n"), "chunk_size", 1},
    {"P18_CommaChunkedIsUnknown", Head("Content-Length: 5\r\nTransfer-Encoding: ,chunked\r\n") + "0\r\n\r\n",
     "framing"},
    {"P19_SignedChunkSize", Chunks("+0\r\n\r\n" + kEvil), "chunk_size", 1},
    {"P20_BadFieldJoinsPrevious", Head("a: b\r\nc\0: d\r\n"s), "control_byte"},
    {"P21_BodyOfGet",
     "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 44\r\n\r\n" + kEvil.substr(0, 44) +
         "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
     "ok", 2},
    {"P22_TwoLengthsForwarded", Head("Content-Length: 0\r\nContent-Length: 44\r\n") + kEvil, "content_length"},
    {"P23_LengthAndCoding", Head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", "framing"},
    {"P24_BlanksBeforeChunkSize", Chunks("      0\r\n\r\n" + kEvil), "chunk_size", 1},
    {"P25_TwoCodingsAsOne", Head("Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n") + "0\r\n\r\n",
     "transfer_encoding"},
    {"B03_ByteBehindChunked", Chunks("0\r\n\r\n\0"s), "method", 1},
};

std::string RowName(const testing::TestParamInfo<Row>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Classes, H1Garden, testing::ValuesIn(kRows), RowName);

}  // namespace
}  // namespace penstock::http
