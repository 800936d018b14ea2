#include <benchmark/benchmark.h>

#include <string>

#include "allocations.hpp"
#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace penstock::llm {
namespace {

/// A chunk of about 250 bytes, as vLLM sends it for each token.
constexpr std::string_view kChunk =
    R"(data: {"id":"chatcmpl-7f2c1b0e9d8a4c55b6a7","object":"chat.completion.chunk","created":1731942000,)"
    R"("model":"llama-3-8b","choices":[{"index":0,"delta":{"content":" turbine"},"logprobs":null,)"
    R"("finish_reason":null,"token_ids":null}]})"
    "\n\n";

void DecodeSseEvent(benchmark::State& state) {
  std::string piece;
  for (int i = 0; i < 16; ++i) piece += kChunk;
  SseDecoder decoder;
  SseEvent event;
  std::size_t left = 0;
  bench::Measure(state, kChunk.size(), [&] {
    if (left == 0) {
      decoder.Feed(piece);
      left = 16;
    }
    if (decoder.Next(event) != SseDecoder::Step::kEvent) state.SkipWithError("no event");
    if (--left == 0 && decoder.Next(event) != SseDecoder::Step::kNeedMore) state.SkipWithError("an event too many");
    benchmark::DoNotOptimize(event);
  });
}
BENCHMARK(DecodeSseEvent);

void DecodeSseEventCutInTwo(benchmark::State& state) {
  SseDecoder decoder;
  SseEvent event;
  bench::Measure(state, kChunk.size(), [&] {
    decoder.Feed(kChunk.substr(0, 100));
    benchmark::DoNotOptimize(decoder.Next(event));
    decoder.Feed(kChunk.substr(100));
    if (decoder.Next(event) != SseDecoder::Step::kEvent) state.SkipWithError("no event");
  });
}
BENCHMARK(DecodeSseEventCutInTwo);

void TapEvents(benchmark::State& state, std::string_view first, std::string_view second) {
  JsonParser parser(1);
  StreamTap tap(Family::kChat);
  SseEvent events[2];
  events[0].data = first;
  events[1].data = second;
  events[0].has_data = events[1].has_data = true;
  unsigned next = 0;
  bench::Measure(state, first.size(), [&] {
    if (!tap.Look(events[next++ & 1], parser).content) state.SkipWithError("no content");
  });
}

/// Events that differ in their text only, as those of one stream do.
void TapEventLikeTheLast(benchmark::State& state) {
  std::string other(kChunk);
  other.replace(other.find(" turbine"), 8, " wheel");
  const std::string_view first = kChunk;
  TapEvents(state, first.substr(6, first.size() - 8), std::string_view(other).substr(6, other.size() - 8));
}
BENCHMARK(TapEventLikeTheLast);

/// Events that differ in more, so that each is parsed.
void TapEventUnlikeTheLast(benchmark::State& state) {
  std::string other(kChunk);
  other.replace(other.find("1731942000"), 10, "1731942001");
  const std::string_view first = kChunk;
  TapEvents(state, first.substr(6, first.size() - 8), std::string_view(other).substr(6, other.size() - 8));
}
BENCHMARK(TapEventUnlikeTheLast);

}  // namespace
}  // namespace penstock::llm
