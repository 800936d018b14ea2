#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "penstock/llm/sse_decoder.hpp"
#include "penstock/llm/stream_tap.hpp"

namespace penstock::llm {

/// Immutable. Where in a recorded stream the usage lies that every upstream is asked for and not every client: kept
/// beside the bytes, so that a replay looks at no event. Size 0: there is none of its own (families without
/// `include_usage`; servers that put usage on the last choice, where it stays for everybody, as in the relay).
struct UsageEvent {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;

  friend bool operator==(const UsageEvent&, const UsageEvent&) = default;
};

/// Owned by one Worker. Finds the usage event of a stream that is being recorded. Every event's raw bytes, in order,
/// must be what is recorded.
class UsageFinder {
 public:
  void Note(const SseEvent& event, const Sighting& sighting) noexcept;
  UsageEvent found() const noexcept { return found_; }
  /// False: usage events with others between them, or an offset beyond 4 GiB. Such a stream is not stored, for it could
  /// not be replayed to a client that did not ask.
  bool replayable() const noexcept { return replayable_; }

 private:
  std::uint64_t at_ = 0;
  UsageEvent found_;
  bool replayable_ = true;
};

/// Immutable. A stream's bytes for one client, in order: pieces of what was recorded. No event is parsed, nothing is
/// copied.
struct ReplayPieces {
  std::array<std::string_view, 2> pieces;  ///< the second is empty unless something is left out
  std::size_t size() const noexcept { return pieces[0].size() + pieces[1].size(); }
};

/// `usage` as UsageFinder found it in `events`. One that does not lie inside them is taken as none.
ReplayPieces ReplayEvents(std::string_view events, UsageEvent usage, bool include_usage) noexcept;

}  // namespace penstock::llm
