// What a unary Chat of the cache pays for protobuf: its request to JSON, its answer from JSON.

#include <benchmark/benchmark.h>
#include <penstock/v1/inference.pb.h>

#include <string>

#include "llm/allocations.hpp"
#include "penstock/grpc/translation.hpp"
#include "penstock/llm/answer.hpp"
#include "penstock/llm/request_view.hpp"

namespace penstock::grpc {
namespace {

const Method& MethodOf(std::string_view path) { return *FindMethod(path); }

/// A request of 600 bytes, as the benchmarks of the HTTP side send it.
std::string Request() {
  v1::ChatRequest request;
  request.set_model("llama-3-8b");
  request.set_temperature(0);
  request.set_max_tokens(256);
  request.set_top_p(0.95);
  request.set_seed(42);
  request.set_user("team-a/alice");
  request.add_stop("</s>");
  auto* const system = request.add_messages();
  system->set_role(v1::ROLE_SYSTEM);
  system->set_content("You are a helpful assistant that answers briefly.");
  auto* const user = request.add_messages();
  user->set_role(v1::ROLE_USER);
  while (request.ByteSizeLong() + 86 < 600) {
    user->mutable_content()->append("Explain how the turbine turns water into light, step by step, for a menu.\n");
  }
  return request.SerializeAsString();
}

/// A whole answer of 1 KiB.
std::string Answer() {
  std::string text;
  while (text.size() + 430 < 1024) text += "The turbine turns, and the light \\\"comes\\\" on; then it stays.\\n\\n";
  return R"({"id":"chatcmpl-7f2c1a9be0d34c5e9a1b","object":"chat.completion","created":1718000000,"model":"llama-3-8b",)"
         R"("choices":[{"index":0,"message":{"role":"assistant","content":")" +
         text +
         R"(","refusal":null,"tool_calls":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":143,)"
         R"("completion_tokens":160,"total_tokens":303,"prompt_tokens_details":{"cached_tokens":128}},)"
         R"("system_fingerprint":"fp_44709d6fcb"})";
}

constexpr std::string_view kEvent =
    R"({"id":"chatcmpl-7f2c1a9be0d34c5e9a1b","object":"chat.completion.chunk","created":1718000000,)"
    R"("model":"llama-3-8b","choices":[{"index":0,"delta":{"content":" turbine"},"logprobs":null,"finish_reason":null}]})";

/// A request's JSON, and what `read` makes of it.
template <class Read>
void MeasureRequest(benchmark::State& state, Read read) {
  const std::string message = Request();
  const Method& method = MethodOf("/penstock.v1.Inference/Chat");
  std::string json;
  ReplyFacts facts;
  llm::JsonParser parser(1);
  bench::Measure(state, message.size(), [&] {
    if (TranslateRequest(method, message, json, facts, parser.BeginNotes())) state.SkipWithError("refused");
    benchmark::DoNotOptimize(json.data());
    read(method.family, json, parser);
  });
  state.counters["message"] = static_cast<double>(message.size());
  state.counters["json"] = static_cast<double>(json.size());
}

void RequestToJson(benchmark::State& state) {
  MeasureRequest(state, [](llm::Family, const std::string&, llm::JsonParser&) {});
}
BENCHMARK(RequestToJson);

/// The same with the view that the pipeline goes by.
void RequestToView(benchmark::State& state) {
  MeasureRequest(state, [](llm::Family family, const std::string& json, llm::JsonParser& parser) {
    benchmark::DoNotOptimize(llm::ViewRequest(family, json, parser));
  });
}
BENCHMARK(RequestToView);

/// And if the body had to be read for it.
void RequestToBodyAndRead(benchmark::State& state) {
  MeasureRequest(state, [](llm::Family family, const std::string& json, llm::JsonParser& parser) {
    benchmark::DoNotOptimize(llm::ParseRequest(family, json, parser));
  });
}
BENCHMARK(RequestToBodyAndRead);

/// What the generated class takes for the same bytes, without writing any JSON.
void RequestByGeneratedClass(benchmark::State& state) {
  const std::string message = Request();
  v1::ChatRequest request;
  bench::Measure(state, message.size(), [&] { benchmark::DoNotOptimize(request.ParseFromString(message)); });
}
BENCHMARK(RequestByGeneratedClass);

void AnswerToMessage(benchmark::State& state) {
  const std::string json = Answer();
  const ReplyFacts facts;
  AnswerTranslator translator;
  translator.Begin(MethodOf("/penstock.v1.Inference/Chat"), facts);
  llm::JsonParser parser(1);
  std::string out;
  bench::Measure(state, json.size(), [&] {
    out.clear();
    if (!translator.Whole(json, parser, out)) state.SkipWithError("no object");
    benchmark::DoNotOptimize(out.data());
  });
  state.counters["message"] = static_cast<double>(out.size());
  state.counters["json"] = static_cast<double>(json.size());
}
BENCHMARK(AnswerToMessage);

/// The part of it that is reading JSON at all.
void AnswerReadAlone(benchmark::State& state) {
  const std::string json = Answer();
  llm::JsonParser parser(1);
  bench::Measure(state, json.size(),
                 [&] { benchmark::DoNotOptimize(llm::ReadAnswer(llm::Family::kChat, json, parser)); });
}
BENCHMARK(AnswerReadAlone);

void EventToMessage(benchmark::State& state) {
  const ReplyFacts facts;
  AnswerTranslator translator;
  translator.Begin(MethodOf("/penstock.v1.Inference/ChatStream"), facts);
  llm::JsonParser parser(1);
  std::string out;
  bench::Measure(state, kEvent.size(), [&] {
    out.clear();
    if (!translator.Event(kEvent, parser, out)) state.SkipWithError("nothing");
    benchmark::DoNotOptimize(out.data());
  });
}
BENCHMARK(EventToMessage);

void FindMethodByPath(benchmark::State& state) {
  const std::string path = "/penstock.v1.Inference/Chat";
  bench::Measure(state, path.size(), [&] { benchmark::DoNotOptimize(FindMethod(path)); });
}
BENCHMARK(FindMethodByPath);

}  // namespace
}  // namespace penstock::grpc
