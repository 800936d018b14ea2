#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

/// Appends to `out` the answer that a client would have got that did not stream, from the recorded bytes of a complete
/// stream. Usage is in it whether or not the recorded client asked, for the gateway always does. `bytes_max` bounds
/// what is held meanwhile (`server.limits.response_body`).
///
///   chat, completions  as Aggregator joins them
///   messages           blocks from their deltas; the input of a tool with the bytes that its text had
///   responses          the object in the terminal event
///
/// An Error of Origin::kCache, and `out` as it was: the stream is not whole, says something that is not understood
/// (a delta of a new type), or is too large; the family does not stream.
std::optional<Error> WriteAnswer(Family family, std::string_view events, std::size_t bytes_max, JsonParser& parser,
                                 std::string& out);

}  // namespace penstock::llm
