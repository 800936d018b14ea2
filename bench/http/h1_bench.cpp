// The HTTP/1.1 codec's cost per message, with a checksum of what it delivered (a bench that parses nothing
// shows) and the number of allocations per message, which must be 0 after warm-up.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "http/allocation_count.hpp"
#include "http/request_text.hpp"
#include "penstock/http/h1_client_codec.hpp"
#include "penstock/http/h1_server_codec.hpp"

namespace penstock::http {
namespace {

const std::string kResponseHead =
    "HTTP/1.1 200 OK\r\n"
    "date: Tue, 14 May 2024 09:21:05 GMT\r\n"
    "server: uvicorn\r\n"
    "cache-control: no-cache\r\n"
    "x-request-id: 7d9f0e62-4b4c-4b0e-9d67-0c5a1f3e8b21\r\n"
    "content-type: application/json\r\n"
    "content-length: 2\r\n\r\n";

/// A stream of 100 events as vLLM writes them, one per chunk.
const std::string kChunkedBody = [] {
  std::string body;
  const std::string event =
      "data: "
      "{\"id\":\"cmpl-1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{"
      "\"content\":\" word\"}}]}\n\n";
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", event.size());
  for (int i = 0; i < 100; ++i) body += size + event + "\r\n";
  return body + "0\r\n\r\n";
}();

struct Sink final : H1ServerHandler, H1ClientHandler {
  void OnRequest(HeadPtr head, bool) override {
    checksum += head->size() + head->target().size() + head->Find(HeaderId::kAuthorization).size();
  }
  void OnResponse(HeadPtr head) override { checksum += head->size() + head->status; }
  void OnBody(std::string_view bytes) override { checksum += bytes.size(); }
  void OnEnd() override { ++checksum; }
  void OnReject(HeadPtr, const Error&, const char*) override { std::abort(); }
  void OnError(const Error&, const char*) override { std::abort(); }
  std::uint64_t checksum = 0;
};

/// Runs `message` once to warm up, then per iteration; all iterations must add the same to the checksum.
template <class Message>
void Measure(benchmark::State& state, Sink& sink, std::size_t bytes, Message message) {
  message();
  const std::uint64_t once = sink.checksum;
  sink.checksum = 0;
  const std::uint64_t before = AllocationCount();
  for (auto _ : state) message();
  const std::uint64_t allocations = AllocationCount() - before;
  if (sink.checksum != once * state.iterations()) state.SkipWithError("checksum");
  if (allocations != 0) state.SkipWithError("allocates after warm-up");
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  state.counters["checksum"] = static_cast<double>(once);
  state.counters["allocations"] = static_cast<double>(allocations);
}

void FeedAll(H1ServerCodec& codec, Sink& sink, std::string_view text, std::size_t piece) {
  while (!text.empty()) {
    codec.Feed(text.substr(0, piece), sink);
    text.remove_prefix(std::min(piece, text.size()));
  }
  codec.NextMessage();
}

/// The head in one read, its body behind it; then in reads of 100 bytes.
void ParseRequest(benchmark::State& state) {
  HeadPool heads;
  const H1Limits limits;
  H1ServerCodec codec(heads, limits);
  Sink sink;
  const auto piece = static_cast<std::size_t>(state.range(0));
  Measure(state, sink, kRequestHead.size(), [&] { FeedAll(codec, sink, kRequest, piece); });
}
BENCHMARK(ParseRequest)->Arg(1 << 16)->Arg(100);

void ParseSmallRequest(benchmark::State& state) {
  static const std::string kText = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  HeadPool heads;
  const H1Limits limits;
  H1ServerCodec codec(heads, limits);
  Sink sink;
  Measure(state, sink, kText.size(), [&] { FeedAll(codec, sink, kText, kText.size()); });
}
BENCHMARK(ParseSmallRequest);

void ParseResponse(benchmark::State& state) {
  static const std::string kText = kResponseHead + "{}";
  HeadPool heads;
  const H1ResponseLimits limits;
  H1ClientCodec codec(heads, limits);
  Sink sink;
  Measure(state, sink, kText.size(), [&] {
    codec.Expect(Method::kPost);
    codec.Feed(kText, sink);
  });
}
BENCHMARK(ParseResponse);

void DecodeChunkedBody(benchmark::State& state) {
  static const std::string kHead = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
  HeadPool heads;
  const H1ResponseLimits limits;
  H1ClientCodec codec(heads, limits);
  Sink sink;
  Measure(state, sink, kChunkedBody.size(), [&] {
    codec.Expect(Method::kPost);
    codec.Feed(kHead, sink);
    codec.Feed(kChunkedBody, sink);
  });
  state.counters["chunks"] = 100;
}
BENCHMARK(DecodeChunkedBody);

HeadPtr Parsed(HeadPool& heads) {
  struct Keep final : H1ServerHandler {
    void OnRequest(HeadPtr parsed, bool) override { head = std::move(parsed); }
    void OnBody(std::string_view) override {}
    void OnEnd() override {}
    void OnReject(HeadPtr, const Error&, const char*) override { std::abort(); }
    HeadPtr head;
  } keep;
  const H1Limits limits;
  H1ServerCodec codec(heads, limits);
  codec.Feed(kRequest, keep);
  return std::move(keep.head);
}

void WriteHead(benchmark::State& state) {
  HeadPool heads;
  const HeadPtr head = Parsed(heads);
  const bool response = state.range(0) != 0;
  head->status = 200;
  ChunkPool pool;
  Chain chain(pool);
  Sink sink;
  Measure(state, sink, kRequestHead.size(), [&] {
    if (response) {
      WriteH1ResponseHead(chain, *head, Framing::kLength, Version::kHttp11, true);
    } else {
      WriteH1RequestHead(chain, *head);
    }
    sink.checksum += chain.size();
    chain.Clear();
  });
}
BENCHMARK(WriteHead)->Arg(0)->Arg(1)->ArgName("response");

}  // namespace
}  // namespace penstock::http
