#include "penstock/llm/error_shapes.hpp"

#include <cstddef>
#include <optional>
#include <span>

#include "llm/answer_fields.hpp"
#include "llm/error_write.hpp"
#include "llm/json/string.hpp"
#include "llm/json/workspace.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr std::size_t kPlainTextMax = 2048;  // bytes of a text/plain body that are worth repeating

/// How servers say that a prompt is too long: in a code or type, or only in the message.
constexpr std::string_view kContextNames[] = {"context_length", "exceed_context_size"};
constexpr std::string_view kContextPhrases[] = {"context length", "context size", "context window",
                                                "prompt is too long", "`inputs` tokens + `max_new_tokens`"};
constexpr std::string_view kPolicyNames[] = {"content_policy", "content_filter", "ResponsibleAIPolicy"};

/// llama-server answers what it did not foresee with 500 `server_error`: a field of another type than it wants, by what
/// its JSON library throws, and an input longer than its physical batch.
constexpr std::string_view kJsonThrown = "\"[json.exception.";
constexpr std::string_view kJsonThrownWriting = "[json.exception.type_error.316]";  // its own text was no UTF-8
constexpr std::string_view kBatchPhrase = "is too large to process";
constexpr std::string_view kRequestTypes[] = {"invalid_request_error", "BadRequestError", "UnprocessableEntityError"};

/// A scalar as a JSON string: the SDKs document codes as strings, llama.cpp and vLLM send integers.
std::string AsString(const Cursor& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return std::string(value.scalar());
  return '"' + std::string(value.scalar()) + '"';
}

bool IsScalar(const Cursor& value) { return !value.is_object() && !value.is_array(); }

/// Takes what an error object says, wherever it lies.
void TakeErrorFields(Cursor object, ErrorJson& parts) {
  object.EachMember([&parts](std::string_view key, Cursor& value) {
    if (!IsScalar(value)) return;
    if (key == "message" && value.is_string()) parts.message = value.scalar();
    if ((key == "type" || key == "error_type") && value.is_string()) parts.type = value.scalar();
    if (key == "code") parts.code = AsString(value);
    if (key == "param") parts.param = AsString(value);
    if (key == "error" && value.is_string()) parts.message = value.scalar();
    if (key == "detail" && value.is_string()) parts.message = value.scalar();
  });
}

/// FastAPI's list of what failed validation: the first one's text and place.
void TakeDetailList(Cursor list, ErrorJson& parts) {
  list.EachElement([&parts](Cursor& item) {
    if (!item.is_object() || !parts.message.empty()) return;
    item.EachMember([&parts](std::string_view key, Cursor& value) {
      if (key == "msg" && value.is_string()) parts.message = value.scalar();
      if (key != "loc" || !value.is_array()) return;
      value.EachElement([&parts](Cursor& step) {
        if (IsScalar(step)) parts.param = AsString(step);  // the innermost step is the field
      });
    });
  });
}

/// True when the body already is what an SDK of this family reads.
bool IsOfFamily(Cursor root, Family family) {
  bool has_message = false;
  bool has_type = false;
  bool is_error = false;
  root.EachMember([&](std::string_view key, Cursor& value) {
    if (key == "type") is_error = value.scalar() == "\"error\"";
    if (key != "error" || !value.is_object()) return;
    value.EachMember([&](std::string_view name, Cursor& part) {
      has_message |= name == "message" && part.is_string();
      has_type |= name == "type" && part.is_string();
    });
  });
  return HasAnthropicErrors(family) ? is_error && has_message && has_type : has_message;
}

ErrorJson ReadParts(Cursor root) {
  ErrorJson parts;
  TakeErrorFields(root, parts);
  root.EachMember([&parts](std::string_view key, Cursor& value) {
    if (key == "error" && value.is_object()) {
      parts = {};
      TakeErrorFields(value, parts);
    }
    if (key == "detail" && value.is_array()) TakeDetailList(value, parts);
  });
  // The envelope's own type says nothing.
  if (parts.type == "\"error\"") parts.type.clear();
  return parts;
}

std::string_view TypeOfStatus(unsigned status) {
  switch (status) {
    case 401: return R"("authentication_error")";
    case 403: return R"("permission_error")";
    case 404: return R"("not_found_error")";
    case 429: return R"("rate_limit_error")";
    default: return status < 500 ? R"("invalid_request_error")" : R"("upstream_error")";
  }
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && json::IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && json::IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

/// A plain text is a message; markup, other JSON and emptiness are not.
std::string MessageOfText(std::string_view body, unsigned status) {
  const std::string_view text = Trimmed(body);
  const bool readable = !text.empty() && text.front() != '<' && text.front() != '{' && text.front() != '[' &&
                        text.find('\0') == std::string_view::npos;
  std::string message;
  if (readable) {
    json::AppendQuoted(message, text.substr(0, kPlainTextMax));
  } else {
    json::AppendQuoted(message, "the upstream answered with status " + std::to_string(status));
  }
  return message;
}

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

bool ContainsAny(std::string_view text, std::span<const std::string_view> parts) {
  for (const std::string_view part : parts) {
    if (Contains(text, part)) return true;
  }
  return false;
}

/// Without a clear word the fault of a 5xx is the server's.
Refusal ClassifyServerError(const ErrorJson& parts) {
  if (Contains(parts.message, kBatchPhrase)) return Refusal::kContextLength;
  const bool thrown = parts.message.starts_with(kJsonThrown) && !Contains(parts.message, kJsonThrownWriting);
  return thrown || ContainsAny(parts.type, kRequestTypes) ? Refusal::kRequest : Refusal::kOther;
}

Refusal Classify(unsigned status, const ErrorJson& parts) {
  if (status >= 500) return ClassifyServerError(parts);
  if (status != 400 && status != 413 && status != 422) return Refusal::kOther;
  if (ContainsAny(parts.code, kContextNames) || ContainsAny(parts.type, kContextNames) ||
      ContainsAny(parts.message, kContextPhrases)) {
    return Refusal::kContextLength;
  }
  if (ContainsAny(parts.code, kPolicyNames) || ContainsAny(parts.type, kPolicyNames)) return Refusal::kContentPolicy;
  return Refusal::kOther;
}

}  // namespace

UpstreamErrorBody NormaliseError(Family family, unsigned status, std::string_view body, std::string_view request_id,
                                 JsonParser& parser, std::string& wrapped) {
  const std::optional<Cursor> root = parser.workspace().ParseAnswer(body);
  const bool object = root && root->is_object();
  ErrorJson parts = object ? ReadParts(*root) : ErrorJson{};
  UpstreamErrorBody result;
  result.pass = object && IsOfFamily(*root, family);
  result.refusal = Classify(status, parts);
  parser.workspace().Trim();
  if (result.pass) return result;
  if (parts.message.empty()) parts.message = MessageOfText(body, status);
  if (parts.type.empty()) parts.type = TypeOfStatus(status);
  if (parts.code.empty()) parts.code = R"("upstream_status")";
  if (!request_id.empty()) json::AppendQuoted(parts.request_id, request_id);
  WriteErrorJson(wrapped, family, parts);
  return result;
}

}  // namespace penstock::llm
