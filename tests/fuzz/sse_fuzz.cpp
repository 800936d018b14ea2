// A stream's bytes: however they are cut, every byte comes back, the events are the same, and taps of all families
// see the same.

#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/pieces.hpp"
#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace {

using namespace penstock::llm;

constexpr std::size_t kEventMax = 512;  // small, so that the limit is met

/// What a stream says, for comparison. Raw bytes are left out of the events: an LF behind a CR may fall to either side.
struct Listener {
  void Feed(std::string_view piece) {
    if (too_long) return;
    decoder.Feed(piece);
    SseEvent event;
    SseDecoder::Step step;
    while ((step = decoder.Next(event)) == SseDecoder::Step::kEvent) {
      raw += event.raw;
      if (event.has_data || !event.name.empty()) Note(event);
    }
    too_long = step == SseDecoder::Step::kTooLong;
  }
  void Note(const SseEvent& event) {
    said += event.name;
    said += '|';
    said += event.data;
    for (StreamTap& tap : taps) {
      const Sighting s = tap.Look(event, parser);
      said += s.content ? 'c' : s.commits ? 'C' : '-';
      said += s.malformed ? 'M' : s.error ? 'E' : s.finish ? 'F' : '-';
    }
    said += '\n';
  }
  std::string Verdicts() const {
    std::string text;
    for (const StreamTap& tap : taps) text += tap.complete() ? 'W' : tap.ended() ? 'D' : '-';
    return text;
  }

  SseDecoder decoder{kEventMax};
  JsonParser parser{1};
  StreamTap taps[4] = {StreamTap(Family::kChat), StreamTap(Family::kCompletions), StreamTap(Family::kResponses),
                       StreamTap(Family::kMessages)};
  std::string raw, said;
  bool too_long = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  Listener whole;
  whole.Feed(text);
  for (const std::size_t most : {1u, 7u, 100u}) {
    Listener split;
    penstock::fuzz::InPieces(text, most, [&split](std::string_view piece) { split.Feed(piece); });
    // An event of just the limit, ended by CR LF, may or may not get the LF; nothing else depends on the pieces.
    if (whole.too_long || split.too_long) continue;
    penstock::fuzz::RequireEqual(whole.said, split.said, "events");
    penstock::fuzz::RequireEqual(whole.Verdicts(), split.Verdicts(), "verdicts");
    penstock::fuzz::RequireEqual(std::string(text), split.raw + std::string(split.decoder.pending()), "bytes");
  }
  return 0;
}
