#include "llm/answer_fields.hpp"

#include <optional>

#include "llm/json/number.hpp"

namespace penstock::llm {
namespace {

using json::Cursor;

constexpr std::uint16_t kUnknownStatus = 500;

struct NamedFinish {
  std::string_view name;
  FinishReason reason;
};
constexpr NamedFinish kFinishes[] = {
    {"stop", FinishReason::kStop},
    {"length", FinishReason::kLength},
    {"tool_calls", FinishReason::kToolCalls},
    {"function_call", FinishReason::kFunctionCall},
    {"content_filter", FinishReason::kContentFilter},
    {"abort", FinishReason::kAbort},
    // TGI
    {"eos_token", FinishReason::kStop},
    {"stop_sequence", FinishReason::kStop},
    // Anthropic
    {"end_turn", FinishReason::kStop},
    {"tool_use", FinishReason::kToolCalls},
    {"max_tokens", FinishReason::kLength},
    {"refusal", FinishReason::kContentFilter},
    // Responses
    {"completed", FinishReason::kStop},
    {"incomplete", FinishReason::kLength},
};

struct NamedStatus {
  std::string_view part;  ///< of the name, in lower case
  std::uint16_t status;
};
/// The first match wins. CamelCase names (vLLM's BadRequestError) are compared without their underscores.
constexpr NamedStatus kStatuses[] = {
    {"ratelimit", 429},         {"overloaded", 503},      {"queuefull", 503},       {"unavailable", 503},
    {"insufficientquota", 429}, {"toomanyrequests", 429}, {"authentication", 401},  {"invalidapikey", 401},
    {"permission", 403},        {"notfound", 404},        {"requesttoolarge", 413}, {"exceedcontextsize", 400},
    {"contextlength", 400},     {"invalidrequest", 400},  {"badrequest", 400},      {"unprocessable", 422},
    {"validation", 422},        {"generation", 424},      {"timeout", 504},         {"notimplemented", 501},
    {"notsupported", 501},
};

std::optional<std::uint16_t> StatusNumber(Cursor value) {
  if (!value.is_number()) return std::nullopt;
  const auto number = json::IntegerValue(value.scalar());
  if (!number || *number < 400 || *number > 599) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

}  // namespace

std::uint32_t ReadCount(Cursor value) noexcept {
  const std::string_view token = value.scalar();
  if (token.size() == 1 && value.is_number()) return static_cast<std::uint32_t>(token.front() - '0');
  if (!value.is_number()) return 0;
  const auto number = json::IntegerValue(value.scalar());
  return number && *number >= 0 && *number <= INT32_MAX ? static_cast<std::uint32_t>(*number) : 0;
}

void ReadUsage(Cursor usage, Usage& into) {
  if (!usage.is_object()) return;
  bool has_prompt = false;
  std::optional<std::uint32_t> cached;
  usage.EachMember([&](std::string_view key, Cursor value) {
    if (key == "prompt_tokens" || key == "input_tokens") {
      into.known = has_prompt = true;
      into.prompt_tokens = ReadCount(value);
    } else if (key == "completion_tokens" || key == "output_tokens") {
      into.known = true;
      into.completion_tokens = ReadCount(value);
    } else if (key == "cache_read_input_tokens") {
      cached = ReadCount(value);
    } else if ((key == "prompt_tokens_details" || key == "input_tokens_details") && value.is_object()) {
      value.EachMember([&cached](std::string_view detail, Cursor count) {
        if (detail == "cached_tokens") cached = ReadCount(count);
      });
    }
  });
  if (has_prompt || cached) into.cached_tokens = cached.value_or(0);
}

void ReadTimings(Cursor timings, Usage& into) {
  if (!timings.is_object()) return;
  std::uint32_t cached = 0;
  std::uint32_t evaluated = 0;
  std::optional<std::uint32_t> predicted;
  timings.EachMember([&](std::string_view key, Cursor value) {
    if (key == "cache_n") cached = ReadCount(value);
    if (key == "prompt_n") evaluated = ReadCount(value);
    if (key == "predicted_n") predicted = ReadCount(value);
  });
  if (predicted) into = {true, cached + evaluated, *predicted, cached};
}

FinishReason FinishReasonOf(std::string_view name) noexcept {
  if (name.empty()) return FinishReason::kNone;
  for (const NamedFinish& row : kFinishes) {
    if (row.name == name) return row.reason;
  }
  return FinishReason::kOther;
}

FinishReason ReadFinishReason(Cursor value) {
  if (value.is_string()) return FinishReasonOf(value.raw_string());
  if (!value.is_object()) return FinishReason::kNone;
  FinishReason reason = FinishReason::kOther;
  value.EachMember([&reason](std::string_view key, Cursor type) {
    if (key == "type" && type.is_string()) reason = FinishReasonOf(type.raw_string());
  });
  return reason;
}

std::uint16_t StatusOfErrorName(std::string_view name) noexcept {
  constexpr std::size_t kLongest = 64;
  char plain[kLongest];
  std::size_t size = 0;
  for (const char c : name.substr(0, kLongest)) {
    if (c == '_' || c == ' ' || c == '-') continue;
    plain[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  const std::string_view text(plain, size);
  for (const NamedStatus& row : kStatuses) {
    if (text.find(row.part) != std::string_view::npos) return row.status;
  }
  return 0;
}

bool IsErrorValue(const Cursor& value) noexcept {
  if (value.is_null() || value.scalar() == "false" || value.scalar() == "0") return false;
  return !(value.is_string() && value.is_empty());
}

std::uint16_t ReadErrorStatus(Cursor error) {
  if (!error.is_object()) return kUnknownStatus;
  std::optional<std::uint16_t> number;
  std::uint16_t named = 0;
  bool overloaded = false;
  error.EachMember([&](std::string_view key, Cursor value) {
    const bool is_name = key == "code" || key == "type" || key == "error_type";
    if (key == "code" || key == "status" || key == "status_code" || key == "http_status_code") {
      if (const auto status = StatusNumber(value)) number = status;
    }
    if (is_name && value.is_string() && named == 0) named = StatusOfErrorName(value.raw_string());
    // TGI writes 422 into every error of a stream, also when it only had no room (router/src/server.rs).
    if (key == "message" && value.is_string()) overloaded = value.raw_string() == "Model is overloaded";
  });
  if (overloaded) return 429;
  if (number) return *number;
  return named != 0 ? named : kUnknownStatus;
}

}  // namespace penstock::llm
