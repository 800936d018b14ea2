#include <benchmark/benchmark.h>

#include <string>

#include "allocations.hpp"
#include "penstock/llm/request_view.hpp"
#include "penstock/llm/splice.hpp"

namespace penstock::llm {
namespace {

/// A chat request of about `bytes`, its text as SDKs send it: words, a line break now and then, some non-ASCII.
std::string ChatBody(std::size_t bytes) {
  std::string text;
  while (text.size() + 330 < bytes) {
    text += "Explain how the turbine turns water into light, step by step, for a caf\xC3\xA9's menu.\\n";
  }
  return R"({"model":"llama-3-8b","messages":[{"role":"system","content":"You are a helpful assistant that answers )"
         R"(briefly."},{"role":"user","content":")" +
         text +
         R"("}],"temperature":0,"max_tokens":256,"top_p":0.95,"stream":true,"user":"team-a/alice",)"
         R"("stop":["</s>"],"presence_penalty":0.1,"frequency_penalty":0.0,"seed":42})";
}

void ParseRequestOfSize(benchmark::State& state) {
  const std::string body = ChatBody(static_cast<std::size_t>(state.range(0)));
  JsonParser parser(1);
  bench::Measure(state, body.size(), [&] {
    auto view = ParseRequest(Family::kChat, body, parser);
    if (!view) state.SkipWithError(view.error().context);
    benchmark::DoNotOptimize(view);
  });
}
BENCHMARK(ParseRequestOfSize)->Arg(600)->Arg(10'000)->Arg(1'000'000);

void ParseRequestOfManyKeys(benchmark::State& state) {
  std::string body = R"({"model":"m","messages":[{}])";
  for (int i = 0; i < state.range(0); ++i) body += ",\"key" + std::to_string(i) + "\":1";
  body += '}';
  JsonParser parser(1);
  bench::Measure(state, body.size(), [&] { benchmark::DoNotOptimize(ParseRequest(Family::kChat, body, parser)); });
}
BENCHMARK(ParseRequestOfManyKeys)->Arg(100'000);

void SpliceRequest(benchmark::State& state) {
  const std::string body = ChatBody(600);
  JsonParser parser(1);
  const auto view = ParseRequest(Family::kChat, body, parser);
  const std::string model = QuoteJson("meta-llama/Meta-Llama-3-8B-Instruct");
  bench::Measure(state, body.size(), [&] {
    const SplicedBody spliced(*view, {.model_json = model, .include_usage = true});
    benchmark::DoNotOptimize(spliced.size());
  });
}
BENCHMARK(SpliceRequest);

}  // namespace
}  // namespace penstock::llm
