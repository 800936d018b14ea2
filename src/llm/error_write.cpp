#include "llm/error_write.hpp"

#include "llm/json/string.hpp"
#include "penstock/llm/error_shapes.hpp"

namespace penstock::llm {
namespace {

std::string Quote(std::string_view text) {
  std::string quoted;
  if (!text.empty()) json::AppendQuoted(quoted, text);
  return quoted;
}

ErrorJson ToJson(const ErrorText& error) {
  ErrorJson parts{{}, Quote(error.type), Quote(error.code), Quote(error.param), Quote(error.request_id)};
  json::AppendQuoted(parts.message, error.message);
  return parts;
}

void Append(std::string& out, std::string_view key, const std::string& value) {
  out += key;
  out += value.empty() ? "null" : value;
}

}  // namespace

void WriteErrorJson(std::string& out, Family family, const ErrorJson& error) {
  if (HasAnthropicErrors(family)) {
    Append(out, R"({"type":"error","error":{"type":)", error.type);
    Append(out, R"(,"message":)", error.message);
    Append(out, R"(},"request_id":)", error.request_id);
    out += '}';
    return;
  }
  Append(out, R"({"error":{"message":)", error.message);
  Append(out, R"(,"type":)", error.type);
  Append(out, R"(,"param":)", error.param);
  Append(out, R"(,"code":)", error.code);
  out += "}}";
}

void WriteError(std::string& out, Family family, const ErrorText& error) { WriteErrorJson(out, family, ToJson(error)); }

void WriteErrorEvent(std::string& out, Family family, const ErrorText& error) {
  if (family == Family::kResponses) {
    const ErrorJson parts = ToJson(error);
    out += "event: response.failed\n";
    Append(out, R"(data: {"type":"response.failed","response":{"object":"response","status":"failed","error":{"code":)",
           parts.code);
    Append(out, R"(,"message":)", parts.message);
    out += R"(},"output":[]}})";
  } else {
    out += HasAnthropicErrors(family) ? "event: error\ndata: " : "data: ";
    WriteError(out, family, error);
  }
  out += "\n\n";
}

}  // namespace penstock::llm
