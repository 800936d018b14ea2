#pragma once

#include <string_view>

namespace penstock::sim {

/// The bodies of scripted answers: whole and well-formed, so that only the script's own fault is wrong with an answer.
inline constexpr std::string_view kWireJson =
    R"({"id":"chatcmpl-wire","object":"chat.completion","created":0,"model":"wire","choices":[{"index":0,"message":)"
    R"({"role":"assistant","content":"from the wire"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}})";
inline constexpr std::string_view kWireEvents =
    R"(data: {"id":"chatcmpl-wire","object":"chat.completion.chunk","created":0,"model":"wire","choices":[{"index":0,)"
    R"("delta":{"role":"assistant","content":"from the wire"},"finish_reason":null}]})"
    "\n\n"
    R"(data: {"id":"chatcmpl-wire","object":"chat.completion.chunk","created":0,"model":"wire","choices":[{"index":0,)"
    R"("delta":{},"finish_reason":"stop"}]})"
    "\n\ndata: [DONE]\n\n";
/// What must never reach a client: bytes that nobody asked for.
inline constexpr std::string_view kSmuggled = R"({"id":"chatcmpl-smuggled","object":"chat.completion","choices":[]})";

inline constexpr std::string_view WireBody(bool stream) { return stream ? kWireEvents : kWireJson; }
inline constexpr std::string_view WireType(bool stream) { return stream ? "text/event-stream" : "application/json"; }

}  // namespace penstock::sim
