#include "penstock/llm/answer_writer.hpp"

#include "llm/json/workspace.hpp"
#include "llm/message_aggregate.hpp"
#include "penstock/llm/aggregate.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr const char* kNotWhole = "a stored stream is not whole";
constexpr const char* kNotUnderstood = "a stored stream says what cannot be joined";

/// Calls take(event, sighting) for each event of a whole stream that says something; why not, or null.
template <class TakeEvent>
const char* EachEvent(Family family, std::string_view events, JsonParser& parser, TakeEvent&& take) {
  SseDecoder decoder(events.size());
  StreamTap tap(family);
  SseEvent event;
  decoder.Feed(events);
  for (;;) {
    if (decoder.Next(event) != SseDecoder::Step::kEvent && !decoder.Finish(event)) break;
    if (!event.has_data) continue;
    const Sighting sighting = tap.Look(event, parser);
    if (sighting.malformed || sighting.error) return kNotWhole;
    if (sighting.done) break;
    if (const char* refusal = take(event, sighting)) return refusal;
  }
  return tap.complete() ? nullptr : kNotWhole;
}

const char* WriteTokens(Family family, std::string_view events, std::size_t bytes_max, JsonParser& parser,
                        std::string& out) {
  Aggregator aggregator(family, bytes_max);
  const char* const refusal =
      EachEvent(family, events, parser, [&](const SseEvent& event, const Sighting&) -> const char* {
        const std::optional<Error> error = aggregator.Add(event.data, parser);
        return error ? error->context : nullptr;
      });
  if (refusal == nullptr) aggregator.Write(out);
  return refusal;
}

const char* WriteMessage(std::string_view events, std::size_t bytes_max, JsonParser& parser, std::string& out) {
  MessageAggregate message(bytes_max);
  const char* const refusal = EachEvent(Family::kMessages, events, parser, [&](const SseEvent& event, const Sighting&) {
    return message.Add(event.data, parser) ? nullptr : kNotUnderstood;
  });
  if (refusal != nullptr) return refusal;
  return message.Write(out, parser) ? nullptr : kNotUnderstood;
}

const char* WriteResponse(std::string_view events, std::size_t bytes_max, JsonParser& parser, std::string& out) {
  const std::size_t before = out.size();
  const char* const refusal =
      EachEvent(Family::kResponses, events, parser, [&](const SseEvent& event, const Sighting& sighting) {
        if (!sighting.finish) return static_cast<const char*>(nullptr);
        out.resize(before);
        std::optional<Cursor> root = parser.workspace().ParseAnswer(event.data);
        root->EachMember([&](std::string_view key, Cursor& value) {
          if (key == "response" && value.is_object() && out.size() == before) out += value.Take();
        });
        return out.size() == before || out.size() - before > bytes_max ? kNotUnderstood : nullptr;
      });
  return refusal;
}

const char* Write(Family family, std::string_view events, std::size_t bytes_max, JsonParser& parser, std::string& out) {
  switch (family) {
    case Family::kChat:
    case Family::kCompletions: return WriteTokens(family, events, bytes_max, parser, out);
    case Family::kMessages: return WriteMessage(events, bytes_max, parser, out);
    case Family::kResponses: return WriteResponse(events, bytes_max, parser, out);
    default: return "answers of this family are not streamed";
  }
}

}  // namespace

std::optional<Error> WriteAnswer(Family family, std::string_view events, std::size_t bytes_max, JsonParser& parser,
                                 std::string& out) {
  const std::size_t before = out.size();
  const char* const refusal = Write(family, events, bytes_max, parser, out);
  parser.workspace().Trim();
  if (refusal == nullptr) return std::nullopt;
  out.resize(before);
  return Error{ErrorCode::kUpstreamProtocol, Origin::kCache, Retry::kNever, refusal};
}

}  // namespace penstock::llm
