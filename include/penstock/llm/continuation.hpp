#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/llm/json_parser.hpp"
#include "penstock/llm/request_view.hpp"

namespace penstock::llm {

/// What a client has of an answer that broke.
struct Begun {
  std::string_view text;     ///< decoded
  std::uint32_t pieces = 0;  ///< tokens of it at least: taken off max_tokens, max_completion_tokens and min_tokens
};

/// The request that asks for the rest of an answer whose beginning is there: a body like the client's, with the text as
/// the last message, said by the assistant, and vLLM's and SGLang's `continue_final_message` (chat), or behind the
/// prompt (completions). All else is as the client wrote it.
///
/// Nothing, where a server would not just go on: a grammar would begin anew (response_format, guided_*,
/// structured_outputs), a tool is asked for by name, the client prefills itself, several choices or prompts, `echo`, a
/// prompt of tokens; where no token is left; and in other families.
std::optional<std::string> WriteContinuation(const RequestView& request, const Begun& begun, JsonParser& parser);

}  // namespace penstock::llm
