// The events of a stream, one a line: whatever an Aggregator accepts, it writes as one JSON object, and a tap that saw
// a whole stream agrees with a reader of the whole answer.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "penstock/llm/aggregate.hpp"
#include "penstock/llm/answer.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace {

using namespace penstock::llm;

void Require(bool condition, const std::string& answer) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", answer.c_str());
  std::abort();
}

void Run(Family family, std::string_view text, JsonParser& parser) {
  constexpr std::size_t kAnswerMax = 1 << 16;
  Aggregator aggregator(family, kAnswerMax);
  StreamTap tap(family);
  bool any = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    SseEvent event;
    event.data = text.substr(0, end);
    event.has_data = true;
    text.remove_prefix(std::min(end + 1, text.size()));
    const Sighting sighting = tap.Look(event, parser);
    if (sighting.malformed || sighting.error || sighting.done) continue;
    if (aggregator.Add(event.data, parser)) return;
    any = true;
  }
  std::string answer;
  aggregator.Write(answer);
  const AnswerSummary summary = ReadAnswer(family, answer, parser);
  Require(summary.well_formed, answer);
  Require(aggregator.size() <= kAnswerMax, answer);
  if (any && tap.complete() && !tap.error_seen()) Require(summary.choices != 0 && summary.complete, answer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static JsonParser parser(42);
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  Run(Family::kChat, text, parser);
  Run(Family::kCompletions, text, parser);
  return 0;
}
