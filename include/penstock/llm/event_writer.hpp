#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/error.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

/// Immutable. What the client that gets the events asked for.
struct EventForm {
  Family family = Family::kChat;
  bool include_usage = false;  ///< `stream_options.include_usage`, in families that have it
  std::size_t bytes_max = 0;   ///< of the events: `server.limits.response_body`
};

/// Appends to `out` the events that a streaming client would have got instead of the complete `answer`, up to and with
/// the terminal event; unpaced, so a whole text is one delta. What is said in `answer` is said in the events: strings
/// with the escapes they were recorded with, numbers byte for byte, members that we do not know beside those we do.
/// Only line breaks between tokens are dropped, for they would end an event.
///
///   chat         per choice: a chunk with the role and what a message rarely has; reasoning; content with logprobs;
///                refusal; one chunk for each tool call, numbered by its place; function_call; the finish reason. id,
///                created, model, system_fingerprint and service_tier in every chunk, what else the document has in
///                the first, llama.cpp's timings and vLLM's metrics in the last
///   completions  per choice: text with logprobs; the finish reason; the rest as above
///   messages     Anthropic's events; deltas for text, citations, thinking, signature and the input of tools; blocks of
///                other types come whole in their content_block_start, as Anthropic sends them
///   responses    the events of items of type message, reasoning, function_call and custom_tool_call
///
/// An Error of Origin::kCache, and `out` as it was, when that cannot be: the caller takes it as a miss. So it is with
/// text that is no JSON or has a key twice; an answer without choices, with two of the same index, or one that has not
/// ended; an error; a Responses item of another type, whose events are many and change; a result beyond `bytes_max`; a
/// family that does not stream.
std::optional<Error> WriteEvents(const EventForm& form, std::string_view answer, JsonParser& parser, std::string& out);

}  // namespace penstock::llm
