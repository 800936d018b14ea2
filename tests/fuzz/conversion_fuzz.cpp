// An answer of any family: what WriteEvents accepts is a whole stream, which WriteAnswer reads; and from there on an
// answer stays as it is. A refusal leaves nothing behind, and no result is larger than its bound.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "penstock/llm/answer_writer.hpp"
#include "penstock/llm/event_writer.hpp"

namespace {

using namespace penstock::llm;

constexpr std::size_t kPlenty = std::size_t{1} << 26;

void Require(bool condition, const char* what, const std::string& text) {
  if (condition) return;
  std::fprintf(stderr, "%s\n%s\n", what, text.c_str());
  std::abort();
}

void Run(Family family, std::string_view text, JsonParser& parser) {
  std::string answer;
  if (WriteAnswer(family, text, kPlenty, parser, answer)) Require(answer.empty(), "a refused answer", answer);

  std::string small;
  if (WriteEvents({family, true, 512}, text, parser, small)) Require(small.empty(), "refused events", small);
  Require(small.size() <= 512, "events beyond the bound", small);

  std::string events;
  if (WriteEvents({family, true, kPlenty}, text, parser, events)) return Require(events.empty(), "refused", events);
  // Objects of too many members are refused on the way back, and inputs of tools that no server writes.
  std::string first;
  const bool joined = !WriteAnswer(family, events, kPlenty, parser, first);
  Require(joined || family == Family::kMessages || text.size() > 1024, "events that are not whole", events);
  if (!joined || family != Family::kChat) return;
  std::string again, second;
  Require(!WriteEvents({family, true, kPlenty}, first, parser, again), "an answer that cannot be streamed", first);
  Require(!WriteAnswer(family, again, kPlenty, parser, second), "events that are not whole", again);
  Require(first.size() == second.size(), "two answers", first + "\n" + second);  // but for their members' order
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static JsonParser parser(42);
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const Family family : {Family::kChat, Family::kCompletions, Family::kMessages, Family::kResponses}) {
    Run(family, text, parser);
  }
  return 0;
}
