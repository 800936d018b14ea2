// A hit through the whole gateway on real sockets: after warm-up it costs no call of malloc (DESIGN 9). nghttp2 draws
// on the worker's pool, which asks the system for nothing either once it is warm.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include "support/gateway_world.hpp"
#include "support/h2_frames.hpp"
#include "support/temporary_folder.hpp"
#include "support/turns.hpp"
#include "unit/proxy/heap_count.hpp"

namespace penstock::proxy {
namespace {

constexpr std::string_view kYaml =
    "server: {listeners: [{address: \"127.0.0.1:0\"}]}\nmodels: [{name: m, cluster: a}]\n"
    "clusters: [{name: a, endpoints: [{url: \"http://127.0.0.1:9\"}]}]\n";

class HitCost : public testing::Test, protected test::GatewayWorld {
 protected:
  static constexpr int kWarmUp = 250;  // nghttp2 remembers closed streams, as many as may be open at once
  static constexpr int kCounted = 100;

  HitCost() {
    cache.memory = std::make_unique<cache::MemoryTier>(
        cache::MemoryOptions{.size_bytes = 16u << 20, .shards = 4, .policy = cache::Eviction::kS3Fifo});
    Serve(folder_.Write("penstock.yaml", kYaml));
  }

  /// As if `body` had been answered with `bytes` before.
  void Know(std::string_view body, cache::Form form, std::string_view bytes) {
    llm::JsonParser parser(1);
    const auto view = llm::ParseRequest(llm::Family::kChat, body, parser);
    const cache::KeyBuilder builder(snapshot->tenants->anonymous()->scope, 0, 0);
    const auto key = builder.Build(snapshot->models[0].identity, 0, *view, {}, parser);
    cache::Entry entry;
    entry.bytes = SharedBytes::Copy(bytes);
    entry.form = form;
    entry.scope = key->scope;
    entry.stored_at = worker.Wall();
    entry.expires_at = {entry.stored_at.us + 3'600'000'000};
    ASSERT_TRUE(cache.memory->Insert(key->digest, entry, entry.stored_at));
  }

  /// Sends `request`, runs the gateway until `answer` bytes that end in `end` are there; the heap calls of the gateway.
  std::uint64_t Ask(std::string_view request, std::string_view end, std::string& answer) {
    EXPECT_EQ(client_.Send(request), request.size());
    answer.clear();
    std::uint64_t calls = 0;
    for (int turn = 0; turn < 1000 && (answer.size() < end.size() || !answer.ends_with(end)); ++turn) {
      const std::uint64_t before = test::HeapCallsSoFar();
      worker.RunTurn();
      calls += test::HeapCallsSoFar() - before;
      answer += client_.Receive();
    }
    EXPECT_TRUE(answer.ends_with(end)) << answer;
    return calls;
  }

  test::TemporaryFolder folder_;
  test::RawSocket client_;
};

const std::string kBody =
    R"({"model":"m","temperature":0,"messages":[{"role":"user","content":")" + std::string(500, 'x') + R"("}]})";
const std::string kAnswer = R"({"choices":[{"message":{"content":")" + std::string(1000, 'y') + R"("}}]})";

std::string H1Request(const std::string& body) {
  return "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway.test\r\ncontent-type: "
         "application/json\r\ncontent-length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(HitCost, NothingIsAllocatedOverHttp1) {
  Know(kBody, cache::Form::kWhole, kAnswer);
  client_ = test::RawSocket::Connect(listening.LocalAddress());
  std::string answer;
  std::uint64_t calls = 0;
  for (int i = 0; i < kWarmUp + kCounted; ++i) {
    const std::uint64_t one = Ask(H1Request(kBody), kAnswer, answer);
    if (i >= kWarmUp) calls += one;
  }
  EXPECT_NE(answer.find("x-penstock-cache: hit-memory\r\n"), std::string::npos) << answer;
  EXPECT_EQ(calls, 0u);
}

TEST_F(HitCost, NothingIsAllocatedForAReplayedStream) {
  std::string body = kBody;
  body.insert(1, R"("stream":true,)");
  const std::string events = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n";
  Know(body, cache::Form::kEvents, events);
  client_ = test::RawSocket::Connect(listening.LocalAddress());
  std::string answer;
  std::uint64_t calls = 0;
  for (int i = 0; i < kWarmUp + kCounted; ++i) {
    const std::uint64_t one = Ask(H1Request(body), events, answer);
    if (i >= kWarmUp) calls += one;
  }
  EXPECT_NE(answer.find("x-penstock-cache: hit-memory\r\n"), std::string::npos) << answer;
  EXPECT_EQ(calls, 0u);
}

TEST_F(HitCost, NothingIsAllocatedOverHttp2) {
  Know(kBody, cache::Form::kWhole, kAnswer);
  client_ = test::RawSocket::Connect(listening.LocalAddress());
  ASSERT_GT(client_.Send(test::ClientPreface() + test::WindowUpdateFrame(0, 1 << 30) + test::SettingsAck()), 0u);
  const std::string block = test::RequestBlock() + test::Literal("content-type", "application/json");
  std::string answer;
  std::uint64_t calls = 0;
  for (int i = 0; i < kWarmUp + kCounted; ++i) {
    const auto stream = static_cast<std::uint32_t>(2 * i + 1);
    const std::uint64_t one =
        Ask(test::HeadersFrame(stream, block, false) + test::DataFrame(stream, kBody, true), kAnswer, answer);
    if (i >= kWarmUp) calls += one;
  }
  EXPECT_EQ(calls, 0u);
}

}  // namespace
}  // namespace penstock::proxy
