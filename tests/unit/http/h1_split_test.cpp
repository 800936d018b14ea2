// J-17 for the codecs: however the bytes arrive, the events are the same.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/h1_recorder.hpp"

namespace penstock::http {
namespace {

const std::string kRequests[] = {
    "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: gateway.example:8443\r\nContent-Type: "
    "application/json\r\nAuthorization: Bearer sk-0123\r\n"
    "User-Agent: OpenAI/Python 1.3\r\nx_dropped: 1\r\nX-Latin: caf\xe9\r\nAccept:\t*/*  \r\nContent-Length: "
    "27\r\n\r\n{\"model\":\"m\",\"stream\":true}"
    "GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\nrest",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n00b\r\n beautiful "
    "\r\n5\r\nworld\r\n0;last\r\nX-Sum: 1\r\nx-other: 2\r\n\r\n"
    "\r\nGET http://b.example HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nx: y\rz\r\n\r\n",
};
const std::string kResponses[] = {
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: "
    "text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "d\r\ndata: hello\r\n\r\n1;x=y\r\n!\r\n0\r\nx-sum: 1\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\nServer: uvicorn\r\n\r\n{\"error\":{}}",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
};

std::string Serve(const std::vector<std::string_view>& pieces) {
  H1ServerRun run;
  for (const std::string_view piece : pieces) run.Feed(piece);
  // How much of a refused message was taken means nothing; where a good one ends does.
  return run.Done() + (run.code == ErrorCode::kNone ? " untaken " + std::to_string(run.untaken) : "");
}
std::string Ask(const std::vector<std::string_view>& pieces) {
  H1ClientRun run;
  for (const std::string_view piece : pieces) run.Feed(piece);
  run.Eof();
  return run.Done();
}

std::vector<std::string_view> Pieces(std::string_view text, std::size_t size) {
  std::vector<std::string_view> pieces;
  for (; !text.empty(); text.remove_prefix(std::min(size, text.size()))) pieces.push_back(text.substr(0, size));
  return pieces;
}

TEST(H1Split, J_17_EverySplitPointOfARequest) {
  for (const std::string& request : kRequests) {
    const std::string whole = Serve({request});
    EXPECT_NE(whole.find("request"), std::string::npos);
    const std::string_view text = request;
    for (std::size_t i = 0; i <= text.size(); ++i)
      ASSERT_EQ(Serve({text.substr(0, i), text.substr(i)}), whole) << "split at " << i;
    for (std::size_t i = 0; i <= text.size(); ++i) {
      const std::size_t j = i + (text.size() - i) / 2;
      ASSERT_EQ(Serve({text.substr(0, i), text.substr(i, j - i), text.substr(j)}), whole)
          << "split at " << i << " and " << j;
    }
  }
}

TEST(H1Split, J_17_PiecesOfEverySize) {
  for (const std::string& request : kRequests) {
    const std::string whole = Serve({request});
    for (std::size_t size = 1; size <= 70; ++size)
      ASSERT_EQ(Serve(Pieces(request, size)), whole) << "pieces of " << size;
  }
}

TEST(H1Split, J_17_EverySplitPointOfAResponse) {
  for (const std::string& response : kResponses) {
    const std::string whole = Ask({response});
    EXPECT_NE(whole.find("response"), std::string::npos);
    const std::string_view text = response;
    for (std::size_t i = 0; i <= text.size(); ++i)
      ASSERT_EQ(Ask({text.substr(0, i), text.substr(i)}), whole) << "split at " << i;
    for (std::size_t size = 1; size <= 40; ++size)
      ASSERT_EQ(Ask(Pieces(response, size)), whole) << "pieces of " << size;
  }
}

/// A head that needs several fills and several growths of the store.
TEST(H1Split, J_17_LargeHead) {
  std::string request = "GET /" + std::string(3000, 'p') + " HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 20; ++i)
    request += "x-" + std::to_string(i) + ": " + std::string(900 + static_cast<std::size_t>(i), 'v') + "\r\n";
  request += "\r\n";
  const std::string whole = Serve({request});
  EXPECT_NE(whole.find("end keep-alive"), std::string::npos);
  for (const std::size_t size : {1, 2, 3, 15, 16, 17, 1023, 1024, 1025, 4096})
    ASSERT_EQ(Serve(Pieces(request, size)), whole) << size;
}

/// Limits are met at the same byte however it arrives.
TEST(H1Split, LimitsDoNotDependOnTheSplit) {
  H1Limits limits;
  limits.uri = 16;
  limits.header_bytes = 64;
  limits.header_count = 3;
  limits.body = 8;
  limits.trailer_bytes = 24;
  const std::string requests[] = {
      "GET /0123456789abcde HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /0123456789abcdef HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /" + std::string(90, 'p') + "\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(50, 'v') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(51, 'v') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(53, 'v') + "\rZ\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n1\r\n8\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n0\r\nx: "
      "3456789012345678901\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n0\r\nx: "
      "34567890123456789012\r\n\r\n",
  };
  for (const std::string& request : requests) {
    const auto serve = [&](std::size_t size) {
      H1ServerRun run(limits);
      for (const std::string_view piece : Pieces(request, size)) run.Feed(piece);
      return run.Done();
    };
    const std::string whole = serve(request.size());
    for (std::size_t size = 1; size < request.size(); ++size)
      ASSERT_EQ(serve(size), whole) << request << " in pieces of " << size;
  }
}

}  // namespace
}  // namespace penstock::http
