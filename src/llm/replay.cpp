#include "penstock/llm/replay.hpp"

#include <limits>

namespace penstock::llm {

void UsageFinder::Note(const SseEvent& event, const Sighting& sighting) noexcept {
  const std::uint64_t begin = at_;
  at_ += event.raw.size();
  if (!sighting.usage_only) return;
  if (at_ > std::numeric_limits<std::uint32_t>::max()) {
    replayable_ = false;
  } else if (found_.size == 0) {
    found_ = {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(event.raw.size())};
  } else if (std::uint64_t{found_.offset} + found_.size == begin) {
    found_.size += static_cast<std::uint32_t>(event.raw.size());
  } else {
    replayable_ = false;
  }
}

ReplayPieces ReplayEvents(std::string_view events, UsageEvent usage, bool include_usage) noexcept {
  const bool inside = usage.offset <= events.size() && usage.size <= events.size() - usage.offset;
  if (include_usage || !inside) return {{events, {}}};
  return {{events.substr(0, usage.offset), events.substr(std::size_t{usage.offset} + usage.size)}};
}

}  // namespace penstock::llm
