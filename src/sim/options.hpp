#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/kind.hpp"

namespace penstock::sim {

/// Immutable once serving. The command line.
struct SimOptions {
  std::vector<std::string> listen;
  std::vector<std::string> wire_listen;
  std::string name = "sim";
  Kind kind = Kind::kVllm;
  unsigned workers = 1;
  std::string certificate, private_key;  ///< empty = cleartext
  std::uint32_t max_streams = 10'000;    ///< SETTINGS_MAX_CONCURRENT_STREAMS
  std::uint32_t slots = 0;  ///< requests generated at once, the others wait first come first served; 0 = no limit
  std::uint32_t max_concurrent = 0;         ///< requests taken at once before the kind's overload answer; 0 = no limit
  std::uint32_t prefill_us_per_token = 50;  ///< of `sim`; `sim:...` says its own time to first token
  std::uint32_t cache_blocks = 65'536;      ///< of the prefix cache, 16 tokens each
  std::uint32_t comment_ms = 0;             ///< `:` comments in a silent stream; 0 = none
  std::uint32_t embedding_dimensions = 8;
  std::uint32_t idle_ms = 75'000;  ///< an idle connection is closed after this
  std::size_t recorded = 32;       ///< last requests kept for /sim/last, per worker
  std::string program;             ///< not empty: every request is answered by this program whatever its model
  bool prefill = true;             ///< takes requests whose last message is the assistant's
  bool not_ready = false;
};

}  // namespace penstock::sim
