#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

#include "penstock/llm/event_template.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"
#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/usage.hpp"

namespace penstock::llm {

/// What one event of a stream is. Several may hold: a last chunk can carry content, finish reason and usage.
struct Sighting {
  bool commits = false;     ///< content, or a finish reason: from here on nothing can be retried (contract, "Commit")
  bool content = false;     ///< non-empty content, reasoning, tool call, function call, refusal or text
  bool finish = false;      ///< a choice's finish reason, message_stop, response.completed or .incomplete
  bool done = false;        ///< `[DONE]`
  bool usage_only = false;  ///< `choices: []` with usage: dropped for clients that did not ask
  bool malformed = false;   ///< not JSON, or nothing that the standard knows
  bool error = false;       ///< an error inside the stream
  std::uint16_t error_status = 0;  ///< with error: the HTTP status it stands for, 500 when it does not say
};

/// The most choices whose ends are told apart. A stream with higher indexes is never complete, but `[DONE]` ends it.
inline constexpr std::size_t kTrackedChoices = 1024;

/// Owned by one Worker. Watches a stream of one family, event by event, and knows at the end whether it was
/// whole. Every event is validated as JSON to its last byte; nothing is changed.
class StreamTap {
 public:
  /// `choices`: how many choices the request asked for, 0 when unknown. The stream is complete when that many
  /// ended.
  explicit StreamTap(Family family, std::uint32_t choices = 0) noexcept : family_(family), choices_(choices) {}

  Sighting Look(const SseEvent& event, JsonParser& parser);

  const Usage& usage() const noexcept { return usage_; }
  bool content_seen() const noexcept { return content_seen_; }
  bool done_seen() const noexcept { return done_seen_; }
  bool error_seen() const noexcept { return error_seen_; }
  std::uint32_t malformed() const noexcept { return malformed_; }           ///< events
  std::uint8_t finish_reasons() const noexcept { return finish_reasons_; }  ///< a set of Bit(FinishReason)

  /// Every choice ended: what a stream must show before its end may be presented as success.
  bool complete() const noexcept;
  /// Complete, or closed by the upstream's own `[DONE]`, and no error.
  bool ended() const noexcept { return !error_seen_ && (complete() || done_seen_); }
  /// Fit for the cache: complete, every choice ended properly, every event well-formed.
  bool storable() const noexcept {
    return complete() && !error_seen_ && malformed_ == 0 && (finish_reasons_ & ~kProperFinishes) == 0;
  }

 private:
  friend class EventReader;
  Sighting Parse(const SseEvent& event, JsonParser& parser);

  Family family_;
  std::uint32_t choices_;
  Usage usage_;
  bool content_seen_ = false;
  bool done_seen_ = false;
  bool error_seen_ = false;
  bool terminal_seen_ = false;  ///< message_stop, response.completed
  bool index_beyond_ = false;   ///< a choice that is not tracked
  std::uint8_t finish_reasons_ = 0;
  std::uint32_t malformed_ = 0;
  std::bitset<kTrackedChoices> started_;
  std::bitset<kTrackedChoices> finished_;
  EventTemplate template_;  ///< the last content event
};

}  // namespace penstock::llm
