#include <benchmark/benchmark.h>

#include <string>

#include "allocations.hpp"
#include "penstock/llm/aggregate.hpp"
#include "penstock/llm/answer.hpp"

namespace penstock::llm {
namespace {

constexpr std::string_view kEvent =
    R"({"id":"chatcmpl-7f2c1b0e9d8a4c55b6a7","object":"chat.completion.chunk","created":1731942000,)"
    R"("model":"llama-3-8b","choices":[{"index":0,"delta":{"content":" turbine"},"logprobs":null,)"
    R"("finish_reason":null}]})";
constexpr int kEvents = 256;

/// 256 events and the answer they make.
void AggregateStream(benchmark::State& state) {
  JsonParser parser(1);
  std::string answer;
  bench::Measure(state, kEvent.size() * kEvents, [&] {
    Aggregator aggregator(Family::kChat, 1 << 20);
    for (int i = 0; i < kEvents; ++i) {
      if (aggregator.Add(kEvent, parser)) state.SkipWithError("refused");
    }
    answer.clear();
    aggregator.Write(answer);
    benchmark::DoNotOptimize(answer.data());
  });
  state.counters["ns_per_event"] = benchmark::Counter(static_cast<double>(state.iterations()) * kEvents / 1e9,
                                                      benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(AggregateStream);

void ReadAnswerOf1KiB(benchmark::State& state) {
  const std::string body =
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
      R"({"role":"assistant","content":")" +
      std::string(700, 'x') +
      R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":128,"total_tokens":140}})";
  JsonParser parser(1);
  bench::Measure(state, body.size(), [&] { benchmark::DoNotOptimize(ReadAnswer(Family::kChat, body, parser)); });
}
BENCHMARK(ReadAnswerOf1KiB);

}  // namespace
}  // namespace penstock::llm
