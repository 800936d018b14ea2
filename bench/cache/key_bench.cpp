#include "penstock/cache/key.hpp"

#include <benchmark/benchmark.h>

#include <string>

#include "penstock/llm/canonical_json.hpp"

namespace penstock::cache {
namespace {

/// A chat request whose prompt has `bytes`, as the OpenAI SDKs write it; `blanks`: as Python's json.dumps does.
std::string ChatBody(std::size_t bytes, bool blanks = false) {
  std::string text;
  while (text.size() < bytes) text += "Explain how the turbine turns water into light, step by step, for a menu.\\n";
  text.resize(bytes, 'x');
  if (text.ends_with('\\')) text.back() = 'x';
  std::string body = R"({"model":"llama-3-8b","messages":[{"role":"system","content":"Answer briefly."},)"
                     R"({"role":"user","content":"PROMPT"}],"temperature":0,"max_tokens":256,"top_p":0.95,)"
                     R"("stream":true,"seed":42})";
  if (blanks) {
    std::string spaced;
    for (const char c : body) {
      spaced += c;
      if (c == ',' || c == ':') spaced += ' ';
    }
    body = spaced;
  }
  return body.replace(body.find("PROMPT"), 6, text);
}

/// SHA-256 alone: what no key can be cheaper than.
void Sha256OfSize(benchmark::State& state) {
  const std::string text = ChatBody(static_cast<std::size_t>(state.range(0)));
  Sha256 sha;
  for (auto _ : state) {
    sha.Add(text);
    benchmark::DoNotOptimize(sha.Finish());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
}
BENCHMARK(Sha256OfSize)->Arg(400)->Arg(1024)->Arg(10'240);

/// What goes by the digest: sorting and leaving out.
void CanonicalOfPrompt(benchmark::State& state) {
  const std::string body = ChatBody(static_cast<std::size_t>(state.range(0)), state.range(1) != 0);
  llm::JsonParser parser(1);
  const auto view = ParseRequest(llm::Family::kChat, body, parser);
  std::size_t pieces = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(llm::WriteCanonicalBody(*view, parser, [&](std::string_view) { ++pieces; }));
  }
  state.counters["pieces"] = benchmark::Counter(static_cast<double>(pieces), benchmark::Counter::kAvgIterations);
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) * state.iterations());
}
BENCHMARK(CanonicalOfPrompt)->Args({1024, 0})->Args({1024, 1});

void Key(benchmark::State& state, bool index_again) {
  const std::string body = ChatBody(static_cast<std::size_t>(state.range(0)), state.range(1) != 0);
  const TenantScope tenant = TenantScope::OfKey("team-a");
  const ModelIdentity model("llama-3-8b", "meta-llama/Meta-Llama-3-8B-Instruct", "");
  llm::JsonParser parser(1), other(1);
  const auto view = ParseRequest(llm::Family::kChat, body, parser);
  const auto stranger = ParseRequest(llm::Family::kChat, body, other);
  for (auto _ : state) {
    const KeyBuilder builder(tenant, 0, 1);
    benchmark::DoNotOptimize(builder.Build(model, 1, index_again ? *stranger : *view, {}, parser));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(body.size()) * state.iterations());
}
void KeyOfPrompt(benchmark::State& state) { Key(state, false); }
void KeyOfPromptIndexedAgain(benchmark::State& state) { Key(state, true); }
BENCHMARK(KeyOfPrompt)->Args({256, 0})->Args({1024, 0})->Args({1024, 1})->Args({10'240, 0});
BENCHMARK(KeyOfPromptIndexedAgain)->Args({1024, 0});

}  // namespace
}  // namespace penstock::cache
