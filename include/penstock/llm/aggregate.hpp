#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

/// Owned by one Worker. Rebuilds the answer that a non-streaming client expects from the events of a stream (chat and
/// completions), for upstreams that are always asked to stream.
///
/// Strings are joined as they were written, escapes and all, so the text is that of the stream, byte for byte. How
/// members merge:
///   top level     the first value of id, object, created, model, system_fingerprint; of the rest the last that is
///                 not null (usage, timings, service_tier, and what we do not know)
///   choice        text is joined, arrays (token_ids) are joined, logprobs' arrays are joined key by key; of the
///                 rest the last that is not null; a finish reason is not taken back by an empty one
///   delta         the first role; other strings are joined (content, reasoning_content, refusal, ...), arrays are
///                 joined; tool_calls merge by index, function_call likewise: arguments (a custom tool's input)
///                 joined, the last non-empty id, type and name; audio's data and transcript are joined
/// `delta` becomes `message`, "chat.completion.chunk" becomes "chat.completion".
class Aggregator {
 public:
  /// `bytes_max` bounds what is held (`server.limits.response_body`).
  Aggregator(Family family, std::size_t bytes_max);
  ~Aggregator();
  Aggregator(Aggregator&&) noexcept;
  Aggregator& operator=(Aggregator&&) noexcept;

  /// One event's data that StreamTap found to be neither malformed, nor an error, nor `[DONE]`. An error of
  /// kUpstreamProtocol: it is no JSON object, or the answer has grown beyond its bound.
  std::optional<Error> Add(std::string_view data, JsonParser& parser);
  /// Appends the answer to `out`. Choices come in the order of their indexes.
  void Write(std::string& out) const;
  std::size_t size() const noexcept;  ///< bytes held, about

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace penstock::llm
