#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "penstock/base/result.hpp"

namespace penstock::sim {

/// What goes wrong with an answer. docs/simulator.md has a line for each.
enum class Fault : std::uint8_t {
  kNone,
  // any HTTP server could do these
  kStatus,
  kHtml,
  kJsonForStream,
  kSseForJson,
  kSilence,
  kStall,
  kEnd,
  kNoDone,
  kNoFinish,
  kCut,
  kSplit,
  kError,
  kMalformed,
  kEndless,
  kSlow,
  kEarly,
  // these break HTTP, or use what a server library hides: the wire port only
  kReset,
  kClose,
  kGoaway,
  kMaxStreams,
  kFlood,
  kScript,
};

/// Where in an answer a fault strikes; numbers from 0 on are content tokens already sent.
inline constexpr std::int32_t kBeforeHead = -2;
inline constexpr std::int32_t kAfterHead = -1;  ///< the head is out, no event yet
inline constexpr std::int32_t kAfterRole = 0;   ///< the role or lifecycle events are out, no content yet
inline constexpr std::int32_t kAtEnd = std::numeric_limits<std::int32_t>::max();  ///< behind the last token

enum class UsageStyle : std::uint8_t { kAsked, kNone, kOnFinish, kEveryEvent };

inline constexpr std::uint32_t kTokensMax = 10'000'000;
inline constexpr std::uint64_t kAnswerBytesMax = 1ull << 30;
inline constexpr std::uint32_t kMillisecondsMax = 86'400'000;
inline constexpr std::uint32_t kRepeatMax = 1'000'000;

/// Immutable once parsed. What a model's name makes the simulator do.
struct Program {
  Fault fault = Fault::kNone;
  bool wire = false;     ///< only the wire port can do it
  bool prefill = false;  ///< time to first token grows with the prompt's tokens that are not cached
  std::int32_t after = kBeforeHead;
  std::uint32_t ttft_ms = 0;
  std::uint32_t tokens = 8;
  std::uint32_t itl_us = 0;
  std::uint64_t constant_bytes = 0;  ///< sim-bytes: the whole body's size
  std::uint16_t status = 500;
  std::uint32_t code = 0;  ///< of RST_STREAM or GOAWAY
  std::uint32_t ms = 0;
  std::uint32_t count = 0;  ///< n=: how many interim responses, fields, frames; 0 = the fault's own figure
  std::uint64_t bytes = 0;  ///< bytes=: how much; 0 = the fault's own figure
  std::uint32_t times = 0;  ///< strikes so often, then never again; 0 = always
  std::uint32_t every = 1;  ///< strikes every so many requests
  std::int64_t last = -1;   ///< GOAWAY's last stream id; -1 = this stream, -2 = the one before
  UsageStyle usage = UsageStyle::kAsked;
  bool timings = false;
  std::string_view script;        ///< the name of a kScript fault
  std::string which;              ///< the fault's variant
  std::string text;               ///< text=: an error's message
  std::string delta = "content";  ///< the field that carries the tokens
  std::string finish;             ///< finish reason; empty = stop, or length when max_tokens cut it
  std::string retry_after, retry_after_ms;
};

/// Reads a model's name; a text that says what is wrong with it otherwise.
Result<Program, std::string> ParseProgram(std::string_view model);

/// One row of the fault table, for the documentation's test and the list of models.
struct FaultName {
  std::string_view name;
  Fault fault;
  std::int32_t after;  ///< where it strikes by default
  bool wire;
  std::string_view which;  ///< the variants it takes, comma separated; "" = none, "*" = its own check
};
std::span<const FaultName> FaultNames() noexcept;

}  // namespace penstock::sim
