#include <gtest/gtest.h>

#include <string>

#include "penstock/http/h1_server_codec.hpp"
#include "support/h1_recorder.hpp"

namespace penstock::http {
namespace {

using namespace std::string_literals;

std::string Drain(Chain& chain) {
  std::string out(chain.size(), '\0');
  chain.Read(out.data(), out.size());
  return out;
}

class H1Writer : public testing::Test {
 protected:
  std::string Response(Framing framing, Version version = Version::kHttp11, bool keep_alive = true) {
    kept_ = WriteH1ResponseHead(chain_, head_, framing, version, keep_alive);
    return Drain(chain_);
  }
  std::string Request() {
    written_ = WriteH1RequestHead(chain_, head_);
    return Drain(chain_);
  }

  ChunkPool pool_;
  Chain chain_{pool_};
  Head head_;
  bool kept_ = false;
  bool written_ = false;
};

TEST_F(H1Writer, ResponseWithALength) {
  head_.status = 200;
  head_.content_length = 42;
  head_.Add("content-type", "application/json");
  head_.Add("Content-Length", "7", HeaderId::kContentLength);
  head_.Add("transfer-encoding", "chunked");
  head_.Add("connection", "x-secret");
  head_.Add("keep-alive", "timeout=5");
  head_.Add("upgrade", "h2c");
  EXPECT_EQ(Response(Framing::kLength),
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 42\r\n\r\n");
  EXPECT_TRUE(kept_);
  EXPECT_EQ(Response(Framing::kLength, Version::kHttp11, false),
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 42\r\nconnection: close\r\n\r\n");
  EXPECT_FALSE(kept_);
}

TEST_F(H1Writer, ChunkedResponse) {
  head_.status = 200;
  EXPECT_EQ(Response(Framing::kChunked), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
  EXPECT_EQ(Response(Framing::kStream), "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
}

TEST_F(H1Writer, H1_35_NoChunksForHttp10) {
  head_.status = 200;
  EXPECT_EQ(Response(Framing::kChunked, Version::kHttp10, true), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
  EXPECT_FALSE(kept_) << "the body is delimited by close";
  head_.content_length = 1;
  EXPECT_EQ(Response(Framing::kLength, Version::kHttp10, true),
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(kept_);
}

TEST_F(H1Writer, BodilessResponses) {
  head_.status = 204;
  head_.content_length = 0;
  EXPECT_EQ(Response(Framing::kNone), "HTTP/1.1 204 No Content\r\n\r\n");
  head_.status = 100;
  EXPECT_EQ(Response(Framing::kNone, Version::kHttp11, false), "HTTP/1.1 100 Continue\r\n\r\n");
  head_.status = 304;
  head_.content_length = 9;
  EXPECT_EQ(Response(Framing::kNone), "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n");
  head_.status = 299;
  head_.content_length.reset();
  EXPECT_EQ(Response(Framing::kUntilClose), "HTTP/1.1 299 Status\r\nconnection: close\r\n\r\n");
  EXPECT_FALSE(kept_);
}

TEST_F(H1Writer, A_08_FieldsThatWouldEndALineAreDropped) {
  head_.status = 200;
  head_.content_length = 0;
  head_.Add("retry-after", "1\r\nset-cookie: a=b");
  head_.Add("x-lf", "a\nb");
  head_.Add("x-cr", "a\rb");
  head_.Add("x-nul", "a\0b"s);
  head_.Add("x-del", "a\x7f");
  head_.Add("x name", "1");
  head_.Add("x:name", "1");
  head_.Add("x\r\ny", "1");
  head_.Add("", "1");
  head_.Add("x-good", "a\tb \xc3\xa9");
  EXPECT_EQ(Response(Framing::kLength), "HTTP/1.1 200 OK\r\nx-good: a\tb \xc3\xa9\r\ncontent-length: 0\r\n\r\n");
}

TEST_F(H1Writer, RequestHead) {
  head_.method = Method::kPost;
  head_.set_method_text("POST");
  head_.set_target("/v1/chat/completions");
  head_.set_authority("llm:8000");
  head_.content_length = 12;
  head_.Add("host", "client.example");
  head_.Add("content-type", "application/json");
  head_.Add("expect", "100-continue");
  head_.Add("te", "trailers");
  EXPECT_EQ(Request(),
            "POST /v1/chat/completions HTTP/1.1\r\nhost: llm:8000\r\ncontent-type: "
            "application/json\r\ncontent-length: 12\r\n\r\n");
  EXPECT_TRUE(written_);
  head_.content_length.reset();
  head_.framing = Framing::kChunked;
  EXPECT_EQ(Request(),
            "POST /v1/chat/completions HTTP/1.1\r\nhost: llm:8000\r\ncontent-type: "
            "application/json\r\ntransfer-encoding: chunked\r\n\r\n");
}

TEST_F(H1Writer, A_08_ARequestLineIsNeverCut) {
  struct {
    std::string method, target, authority;
  } const rows[] = {
      {"GET", "/a b", "h"}, {"GET", "/a\r\nx: y", "h"}, {"GET", "", "h"},     {"GET", "/a\0"s, "h"}, {"G T", "/", "h"},
      {"", "/", "h"},       {"GET", "/", "h\r\nx: y"},  {"GET", "/", "h\ti"}, {"GET", "/", "h i"},
  };
  for (const auto& row : rows) {
    head_.Clear();
    head_.set_method_text(row.method);
    head_.set_target(row.target);
    head_.set_authority(row.authority);
    EXPECT_EQ(Request(), "") << row.target;
    EXPECT_FALSE(written_);
  }
}

TEST_F(H1Writer, ChunkFraming) {
  WriteChunkBegin(chain_, 255);
  chain_.Append(std::string(255, 'x'));
  WriteChunkEnd(chain_);
  WriteChunkBegin(chain_, 4096);
  EXPECT_EQ(Drain(chain_), "ff\r\n" + std::string(255, 'x') + "\r\n1000\r\n");
  WriteLastChunk(chain_);
  EXPECT_EQ(Drain(chain_), "0\r\n\r\n");
}

TEST_F(H1Writer, HeadsLargerThanABlockComeOutWhole) {
  head_.status = 200;
  std::string expected = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 40; ++i) {
    const std::string value(700 + static_cast<std::size_t>(i), static_cast<char>('a' + i % 26));
    head_.Add("x-long", value);
    expected += "x-long: " + value + "\r\n";
  }
  chain_.Append("earlier");
  EXPECT_EQ(Response(Framing::kUntilClose), "earlier" + expected + "connection: close\r\n\r\n");
}

TEST_F(H1Writer, A_08_WhereverABlockEnds) {
  head_.status = 200;
  head_.content_length = 1;
  head_.Add("x-first", "one");
  head_.Add("x-bad", "two\r\nevil: 1");
  head_.Add("x-long-name-of-last", "a value of more than thirty-two bytes");
  const std::string expected =
      "HTTP/1.1 200 OK\r\nx-first: one\r\nx-long-name-of-last: a value of more than thirty-two "
      "bytes\r\ncontent-length: 1\r\n\r\n";
  for (std::size_t filled = ChunkPool::kChunkBytes - 300; filled <= ChunkPool::kChunkBytes; ++filled) {
    const std::string before(filled, 'x');
    chain_.Append(before);
    ASSERT_EQ(Response(Framing::kLength), before + expected) << filled;
  }
}

/// H2-38's property for our own two halves: what is written parses to the same list.
TEST_F(H1Writer, WhatIsWrittenParsesToTheSameHead) {
  head_.set_method_text("POST");
  head_.set_target("/v1/x?y=%20z");
  head_.set_authority("[::1]:8080");
  head_.content_length = 3;
  head_.Add("a", "");
  head_.Add("content-type", "text/plain; charset=\"utf-8\"");
  head_.Add("x-very-long-name-of-a-field-beyond-two-blocks", "v");
  H1ServerRun run;
  run.Feed(Request()).Feed("abc");
  ASSERT_EQ(run.ends, 1u) << run.Done();
  const Head& parsed = *run.requests[0];
  EXPECT_EQ(parsed.target(), head_.target());
  EXPECT_EQ(parsed.authority(), head_.authority());
  EXPECT_EQ(parsed.content_length, 3u);
  ASSERT_EQ(parsed.size(), head_.size() + 2) << "host in front, content-length behind";
  for (std::size_t i = 0; i < head_.size(); ++i) {
    EXPECT_EQ(parsed.field(i + 1).name, head_.field(i).name);
    EXPECT_EQ(parsed.field(i + 1).value, head_.field(i).value);
  }
}

}  // namespace
}  // namespace penstock::http
