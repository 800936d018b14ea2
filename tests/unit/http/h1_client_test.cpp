// FAULTS H1-36, H1-37, U-33, U-35: what an upstream may do to us, and the client's codec in general.

#include <gtest/gtest.h>

#include <string>

#include "support/h1_recorder.hpp"

namespace penstock::http {
namespace {

using namespace std::string_literals;

struct Row {
  const char* name;
  std::string sent;
  const char* reason;  ///< "ok" = one complete response
  Method method = Method::kGet;
};
std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

std::string Fields(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += "x-" + std::to_string(i) + ": v\r\n";
  return out;
}
std::string Ok(const std::string& fields, const std::string& body = "") {
  return "HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body;
}
std::string Repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}
const std::string kChunkedField = "transfer-encoding: chunked\r\n";

class H1ClientFaults : public testing::TestWithParam<Row> {};

TEST_P(H1ClientFaults, Outcome) {
  const Row& row = GetParam();
  H1ClientRun whole({row.method});
  whole.Feed(row.sent);
  if (std::string_view(row.reason) == "ok") {
    EXPECT_EQ(whole.reason, "") << whole.Done();
    EXPECT_EQ(whole.ends, 1u) << whole.Done();
  } else {
    EXPECT_EQ(whole.reason, row.reason);
    EXPECT_EQ(whole.error.code, ErrorCode::kUpstreamProtocol);
    EXPECT_EQ(whole.error.origin, Origin::kUpstream);
    EXPECT_EQ(whole.ends, 0u) << "a refused response must not look complete";
    EXPECT_FALSE(whole.codec().reusable());
    EXPECT_FALSE(whole.codec().due());
  }
}

const Row kRows[] = {
    {"H1_36_TwoSameCl", Ok("content-length: 2\r\ncontent-length: 2\r\n", "hi"), "content_length"},
    {"H1_36_TwoDifferentCl", Ok("content-length: 2\r\ncontent-length: 3\r\n", "hi"), "content_length"},
    {"H1_36_ClList", Ok("content-length: 2, 2\r\n", "hi"), "content_length"},
    {"H1_36_ClNoNumber", Ok("content-length: two\r\n", "hi"), "content_length"},
    {"H1_36_ClOverflow", Ok("content-length: 18446744073709551616\r\n", "hi"), "content_length"},
    {"H1_36_ClAndTe", Ok("content-length: 2\r\n" + kChunkedField, "0\r\n\r\n"), "framing"},
    {"H1_36_UnknownTe", Ok("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"), "transfer_coding"},
    {"H1_36_IdentityTe", Ok("transfer-encoding: identity\r\n"), "transfer_coding"},
    {"H1_36_MalformedTe", Ok("transfer-encoding: ,chunked\r\n"), "transfer_coding"},
    {"H1_36_TwoTe", Ok(kChunkedField + kChunkedField), "transfer_encoding"},
    {"H1_36_TeIn10", "HTTP/1.0 200 OK\r\n" + kChunkedField + "\r\n0\r\n\r\n", "framing"},
    {"H1_36_LfOnly", "HTTP/1.1 200 OK\ncontent-length: 0\n\n", "line_ending"},
    {"H1_36_70KB", Ok("x: " + std::string(70 * 1024, 'v') + "\r\n"), "header_bytes"},
    {"H1_36_EndlessStatusLine", "HTTP/1.1 200 " + std::string(5000, 'r'), "status_line"},
    {"H1_36_10000Interim", Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10000), "interim"},
    {"H1_36_11Interim", Repeat("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", 11) + Ok("content-length: 0\r\n"),
     "interim"},
    {"H1_36_10InterimAreSkipped",
     Repeat("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", 10) + Ok("content-length: 0\r\n"), "ok"},
    {"H1_36_BodyAfter204", "HTTP/1.1 204 No Content\r\n\r\nhello", "unexpected_body"},
    {"H1_36_LengthOf204", "HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", "unexpected_body"},
    {"H1_36_ChunkedOf204", "HTTP/1.1 204 No Content\r\n" + kChunkedField + "\r\n", "unexpected_body"},
    {"H1_36_LengthOf100", "HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\n", "unexpected_body"},
    {"H1_36_BodyAfter304", "HTTP/1.1 304 Not Modified\r\n\r\nhello", "unexpected_body"},
    {"H1_36_BodyAfterHead", Ok("content-length: 5\r\n", "hello"), "unexpected_body", Method::kHead},
    {"H1_36_Unsolicited101", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
     "interim"},
    {"H1_36_ZeroLengthOf204", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", "ok"},
    {"H1_36_LengthOf304", "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", "ok"},
    {"H1_36_LengthOfHead", Ok("content-length: 5\r\n"), "ok", Method::kHead},
    {"H1_36_ChunkedOfHead", Ok(kChunkedField), "ok", Method::kHead},

    {"H1_36_Version12", "HTTP/1.2 200 OK\r\n\r\n", "status_line"},
    {"H1_36_Version2", "HTTP/2 200\r\n\r\n", "status_line"},
    {"H1_36_LowerCase", "http/1.1 200 OK\r\n\r\n", "status_line"},
    {"H1_36_Status99", "HTTP/1.1 099 OK\r\n\r\n", "status_line"},
    {"H1_36_Status600", "HTTP/1.1 600 OK\r\n\r\n", "status_line"},
    {"H1_36_Status4Digits", "HTTP/1.1 2000 OK\r\n\r\n", "status_line"},
    {"H1_36_Status2Digits", "HTTP/1.1 20 OK\r\n\r\n", "status_line"},
    {"H1_36_TwoSpaces", "HTTP/1.1  200 OK\r\n\r\n", "status_line"},
    {"H1_36_LeadingBlankLine", "\r\nHTTP/1.1 200 OK\r\n\r\n", "status_line"},
    {"H1_36_Garbage", "SSH-2.0-OpenSSH_9.2\r\n", "status_line"},
    {"H1_36_NoReason", "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", "ok"},
    {"H1_36_EmptyReason", "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n", "ok"},
    {"H1_36_EightBitReason", "HTTP/1.1 200 \xc3\xa9\r\ncontent-length: 0\r\n\r\n", "ok"},

    {"U_35_257Fields", Ok(Fields(257)), "header_count"},
    {"U_35_1000Fields", Ok(Fields(1000)), "header_count"},
    {"U_35_256Fields", Ok(Fields(255) + "content-length: 0\r\n"), "ok"},
    {"U_35_1MB", Ok("x: " + std::string(1 << 20, 'v')), "header_bytes"},
    {"U_35_CrInValue", Ok("x: a\rb\r\n"), "line_ending"},
    {"U_35_LfInValue", Ok("x: a\nb\r\n"), "line_ending"},
    {"U_35_NulInValue", Ok("x: a\0b\r\n"s), "control_byte"},
    {"U_35_ObsFold", Ok("x: a\r\n b\r\n"), "obs_fold"},
    {"U_35_SpaceBeforeColon", Ok("x : a\r\n"), "field_name"},
    {"U_35_5MBTrailers", Ok(kChunkedField, "0\r\nx: " + std::string(5 << 20, 'v') + "\r\n\r\n"), "trailer"},
    {"U_35_EndlessTrailers", Ok(kChunkedField, "0\r\n" + Fields(21)), "trailer"},
    {"U_35_ChunkSize", Ok(kChunkedField, "0x5\r\nhello\r\n"), "chunk_size"},
    {"U_35_ChunkEnd", Ok(kChunkedField, "5\r\nhello\n"), "chunk_end"},
    {"U_35_ChunkExtension", Ok(kChunkedField, "5;" + std::string(300, 'e') + "\r\n"), "chunk_extension"},
};

std::string RowName(const testing::TestParamInfo<Row>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Table, H1ClientFaults, testing::ValuesIn(kRows), RowName);

TEST(H1Client, U_33_ExcessBehindALengthIsNotTaken) {
  H1ClientRun run({Method::kGet, Method::kGet});
  run.Feed(Ok("content-length: 5\r\n", "helloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"));
  EXPECT_EQ(run.bodies.at(0), "hello");
  EXPECT_EQ(run.ends, 1u);
  EXPECT_EQ(run.untaken, 42u);
  EXPECT_FALSE(run.reusable_at_end) << "the handler may hand the connection on in OnEnd";
  EXPECT_FALSE(run.codec().reusable());
  EXPECT_EQ(run.responses.size(), 1u);
}

TEST(H1Client, U_33_ShortBodyIsAReset) {
  H1ClientRun run;
  run.Feed(Ok("content-length: 5\r\n", "hell")).Eof();
  EXPECT_EQ(run.ends, 0u);
  EXPECT_EQ(run.error.code, ErrorCode::kUpstreamReset);
  EXPECT_EQ(run.reason, "eof_in_body");
  EXPECT_TRUE(run.codec().head_seen());
}

TEST(H1Client, U_33_CutChunkedIsAReset) {
  for (const char* body : {"", "5", "5\r\n", "5\r\nhel", "5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0",
                           "5\r\nhello\r\n0\r\n", "0\r\nx: y\r\n", "0\r\n\r"}) {
    H1ClientRun run;
    run.Feed(Ok(kChunkedField, body)).Eof();
    EXPECT_EQ(run.ends, 0u) << body;
    EXPECT_EQ(run.reason, "eof_in_body") << body;
  }
}

TEST(H1Client, H1_37_BytesOnAnIdleConnectionSpoilIt) {
  H1ClientRun run({Method::kGet});
  run.Feed(Ok("content-length: 2\r\n", "hi"));
  EXPECT_TRUE(run.codec().reusable());
  run.Feed("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_FALSE(run.codec().reusable());
  EXPECT_EQ(run.untaken, 19u);
  EXPECT_EQ(run.responses.size(), 1u);
}

TEST(H1Client, H1_37_BytesBeforeTheFirstRequestSpoilIt) {
  H1ClientRun run(std::vector<Method>{});
  run.Feed("220 mail.example ESMTP\r\n");
  EXPECT_FALSE(run.codec().reusable());
}

TEST(H1Client, H1_37_ExcessBehindTheLastChunk) {
  H1ClientRun run;
  run.Feed(Ok(kChunkedField, "2\r\nhi\r\n0\r\n\r\nX"));
  EXPECT_EQ(run.ends, 1u);
  EXPECT_FALSE(run.reusable_at_end);
  EXPECT_EQ(run.untaken, 1u);

  H1ClientRun trailers;
  trailers.Feed(Ok(kChunkedField, "2\r\nhi\r\n0\r\nx: y\r\n\r\nXY"));
  EXPECT_EQ(trailers.ends, 1u);
  EXPECT_FALSE(trailers.reusable_at_end);
  EXPECT_EQ(trailers.untaken, 2u);
}

TEST(H1Client, TellsWhereTheConnectionWasCut) {
  struct {
    const char* sent;
    const char* reason;
    bool any_byte;
    bool head;
  } const rows[] = {
      {"", "eof_before_head", false, false},
      {"H", "eof_in_head", true, false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r", "eof_in_head", true, false},
      {"HTTP/1.1 100 Continue\r\n\r\n", "eof_in_head", true, false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "eof_in_body", true, true},
  };
  for (const auto& row : rows) {
    H1ClientRun run;
    run.Feed(row.sent);
    EXPECT_TRUE(run.codec().due());
    EXPECT_FALSE(run.codec().reusable());
    run.Eof();
    EXPECT_EQ(run.error.code, ErrorCode::kUpstreamReset) << row.sent;
    EXPECT_EQ(run.error.retry, Retry::kUnproven) << row.sent;
    EXPECT_EQ(run.reason, row.reason) << row.sent;
    EXPECT_EQ(run.codec().any_byte_seen(), row.any_byte) << row.sent;
    EXPECT_EQ(run.codec().head_seen(), row.head) << row.sent;
    EXPECT_FALSE(run.codec().due());
    EXPECT_FALSE(run.codec().reusable());
  }
}

TEST(H1Client, EofWhileIdleIsNoErrorButNoReuse) {
  H1ClientRun run;
  run.Feed(Ok("content-length: 0\r\n")).Eof();
  EXPECT_EQ(run.error.code, ErrorCode::kNone);
  EXPECT_FALSE(run.codec().reusable());
}

TEST(H1Client, CloseDelimitedBodyEndsWell) {
  H1ClientRun run;
  run.Feed("HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n").Feed("data: 2\n\n");
  EXPECT_TRUE(run.codec().due());
  run.Eof();
  EXPECT_EQ(run.bodies.at(0), "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(run.ends, 1u);
  EXPECT_EQ(run.error.code, ErrorCode::kNone);
  EXPECT_EQ(run.responses[0]->framing, Framing::kUntilClose);
  EXPECT_FALSE(run.codec().reusable());
}

TEST(H1Client, ReuseFollowsTheConnectionField) {
  struct {
    const char* sent;
    bool reusable;
  } const rows[] = {
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true},
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", false},
      {"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: x, Close\r\n\r\n", false},
      {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", true},
      {"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false},
      {"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n", true},
      {"HTTP/1.1 204 No Content\r\n\r\n", true},
  };
  for (const auto& row : rows) {
    H1ClientRun run;
    run.Feed(row.sent);
    EXPECT_EQ(run.ends, 1u) << row.sent;
    EXPECT_EQ(run.reusable_at_end, row.reusable) << row.sent;
    EXPECT_EQ(run.codec().reusable(), row.reusable) << row.sent;
  }
}

TEST(H1Client, AnswersOneRequestAfterTheOther) {
  H1ClientRun run({Method::kPost, Method::kHead, Method::kGet});
  run.Feed("HTTP/1.1 100 Continue\r\n\r\n" + Ok(kChunkedField, "3\r\none\r\n0\r\n\r\n"));
  run.Feed(Ok("content-length: 7\r\n"));
  run.Feed(Ok("content-length: 5\r\nx_y: kept\r\n", "three"));
  ASSERT_EQ(run.responses.size(), 3u);
  EXPECT_EQ(run.bodies[0], "one");
  EXPECT_EQ(run.bodies[1], "");
  EXPECT_EQ(run.responses[1]->content_length, 7u);
  EXPECT_EQ(run.responses[1]->framing, Framing::kNone);
  EXPECT_EQ(run.bodies[2], "three");
  EXPECT_TRUE(run.codec().reusable());
}

}  // namespace
}  // namespace penstock::http
