#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "penstock/llm/family.hpp"
#include "penstock/llm/json_parser.hpp"

namespace penstock::llm {

/// An error as the contract's table has it. Texts are plain; the writers escape them.
struct ErrorText {
  std::string_view message;
  std::string_view type;        ///< "invalid_request_error"
  std::string_view code;        ///< "invalid_param"
  std::string_view param;       ///< empty: null
  std::string_view request_id;  ///< Anthropic's shape shows it in the body
};

/// Appends the error's JSON object in the family's shape.
void WriteError(std::string& out, Family family, const ErrorText& error);
/// Appends the event that tells a streaming client of it: whole, with its blank line. No `[DONE]` may follow.
void WriteErrorEvent(std::string& out, Family family, const ErrorText& error);

/// What a refusal really is. All but the first are about the request: no other endpoint of the model cures them, and
/// they say nothing against the one that answered.
enum class Refusal : std::uint8_t {
  kOther,
  kContextLength,
  kContentPolicy,
  kRequest,  ///< a 5xx whose body shows that the request is at fault
};

/// What to do with the body of an upstream's 4xx or 5xx.
struct UpstreamErrorBody {
  bool pass = false;  ///< it is an error object of the client's family: send it byte for byte
  Refusal refusal = Refusal::kOther;
};

/// Reads the error shapes of the servers (BACKENDS.md): OpenAI's (vLLM, llama.cpp, Ollama), a bare
/// {"object":"error"} (SGLang), {"error":"...","error_type":"..."} (TGI), {"error":"..."} (Triton),
/// {"detail":...} (FastAPI), Anthropic's, plain text. What is not of the client's family is appended to `wrapped` in
/// its shape, with the upstream's own message, type and code where it has them. HTML and other bodies that are not
/// meant for a program are not repeated.
UpstreamErrorBody NormaliseError(Family family, unsigned status, std::string_view body, std::string_view request_id,
                                 JsonParser& parser, std::string& wrapped);

}  // namespace penstock::llm
