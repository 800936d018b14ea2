#include "sim/kind.hpp"

#include <array>
#include <cstdio>

namespace penstock::sim {
namespace {

constexpr std::array<KindTraits, 7> kTraits = {{
    {.name = "vllm", .server = "uvicorn", .early_head = true, .done_after_error = true, .cached_tokens = true},
    {.name = "sglang", .server = "uvicorn", .early_head = true, .cached_tokens = true},
    {.name = "tgi",
     .server = "",
     .stream_type = "text/event-stream",
     .malformed_json = 422,
     .overload = 429,
     .early_head = true,
     .role_always = true,
     .serves_any_model = true,
     .done_after_error = true},
    {.name = "llamacpp",
     .server = "llama.cpp",
     .json_type = "application/json; charset=utf-8",
     .stream_type = "text/event-stream",
     .malformed_json = 500,
     .physical_batch = 512,
     .role_null = true,
     .closes_after_stream = true,
     .closes_after_error = true,
     .serves_any_model = true,
     .keeps_abandoned = true,
     .timings = true,
     .cached_tokens = true},
    {.name = "triton", .server = "uvicorn", .not_ready = 400, .max_tokens = 16, .early_head = true},
    {.name = "ollama", .server = "", .stream_type = "text/event-stream", .swallows_errors = true},
    {.name = "openai", .server = "", .early_head = true, .cached_tokens = true},
}};

std::string_view OpenAiType(std::uint16_t status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

std::string_view VllmType(std::uint16_t status) {
  switch (status) {
    case 404: return "NotFoundError";
    case 422: return "UnprocessableEntityError";
    case 501: return "NotImplementedError";
    default: return status >= 500 ? "InternalServerError" : "BadRequestError";
  }
}

std::string_view LlamaType(std::uint16_t status) {
  switch (status) {
    case 501: return "not_supported_error";
    case 503: return "unavailable_error";
    default: return OpenAiType(status);
  }
}

std::string_view TgiType(std::uint16_t status) {
  switch (status) {
    case 422: return "validation";
    case 424: return "generation";
    case 429: return "overloaded";
    default: return "incomplete_generation";
  }
}

std::string_view OllamaType(std::uint16_t status) {
  if (status == 400) return "invalid_request_error";
  return status == 404 ? "not_found_error" : "api_error";
}

void Escape(std::string& out, std::string_view text, unsigned plain_max) {
  for (const char c : text) {
    const auto value = static_cast<unsigned>(static_cast<unsigned char>(c));
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (value < 0x20 || value > plain_max) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", value);
      out += escape;
    } else {
      out += c;
    }
  }
}

}  // namespace

std::optional<Kind> ParseKind(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kTraits.size(); ++i) {
    if (kTraits[i].name == name) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

const KindTraits& TraitsOf(Kind kind) noexcept { return kTraits[static_cast<std::size_t>(kind)]; }

void AppendEscaped(std::string& out, std::string_view text) { Escape(out, text, 0xff); }
void AppendBytes(std::string& out, std::string_view bytes) { Escape(out, bytes, 0x7e); }

std::string ErrorBody(Kind kind, Family family, std::uint16_t status, std::string_view message, std::string_view code) {
  std::string text;
  AppendEscaped(text, message);
  const std::string number = std::to_string(status);
  const auto join = [](std::initializer_list<std::string_view> parts) {
    std::string out;
    for (const std::string_view part : parts) out += part;
    return out;
  };
  if (family == Family::kMessages || family == Family::kCountTokens) {
    const std::string_view type = status == 529 ? "overloaded_error" : status >= 500 ? "api_error" : OpenAiType(status);
    return join({R"({"type":"error","error":{"type":")", type, R"(","message":")", text, R"("}})"});
  }
  switch (kind) {
    case Kind::kVllm:
      return join({R"({"error":{"message":")", text, R"(","type":")", VllmType(status), R"(","param":null,"code":)",
                   number, "}}"});
    case Kind::kSglang:
      return join({R"({"object":"error","message":")", text, R"(","type":")", VllmType(status),
                   R"(","param":null,"code":)", number, "}"});
    case Kind::kTgi: return join({R"({"error":")", text, R"(","error_type":")", TgiType(status), R"("})"});
    case Kind::kLlamacpp:
      return join(
          {R"({"error":{"code":)", number, R"(,"message":")", text, R"(","type":")", LlamaType(status), R"("}})"});
    case Kind::kTriton: return join({R"({"detail":")", text, R"("})"});
    case Kind::kOllama:
      return join(
          {R"({"error":{"message":")", text, R"(","type":")", OllamaType(status), R"(","param":null,"code":null}})"});
    case Kind::kOpenai: break;
  }
  return join({R"({"error":{"message":")", text, R"(","type":")", OpenAiType(status), R"(","param":null,"code":")",
               code, R"("}})"});
}

}  // namespace penstock::sim
