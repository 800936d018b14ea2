#include "penstock/llm/request_view.hpp"

#include <optional>

#include "llm/json/number.hpp"
#include "llm/json/string.hpp"
#include "llm/json/workspace.hpp"
#include "llm/request_fields.hpp"

namespace penstock::llm {
namespace {

/// Of any size: how large a seed may be is for the backend to say.
bool IsIntegral(std::string_view number) noexcept {
  return number.find_first_of(".eE") == std::string_view::npos || json::IntegerValue(number).has_value();
}

}  // namespace

/// Owned by one Worker. Fills a RequestView from a validated body.
class RequestReader {
 public:
  static Result<RequestView> View(Family family, JsonParser& parser, const json::Fault& fault);

 private:
  RequestReader(RequestView& view, FieldSets fields) : view_(view), fields_(fields) {}

  std::optional<Error> Read(json::Cursor root);

  using Cursor = json::Cursor;

  void Take(std::string_view raw_key, Cursor value);
  void TakeField(Field field, Cursor value);
  void TakeModel(Cursor value);
  void TakeMessages(Cursor value);
  void TakePrompt(Cursor value);
  void TakeInput(Cursor value);
  void TakeStreamOptions(Cursor value);
  void TakeStop(Cursor value);
  std::optional<double> TakeFraction(Cursor value);
  std::uint32_t TakeInteger(Cursor value, std::int64_t min, std::int64_t max);
  Span SpanOf(Cursor value) const noexcept;
  void Refuse(const char* context) { Refuse(context, FieldName(field_)); }
  void Refuse(const char* context, const char* param);

  RequestView& view_;
  const FieldSets fields_;
  Field field_ = Field::kUnknown;  ///< the one being read
  std::uint32_t seen_ = 0;
  std::optional<Error> error_;
};

void RequestReader::Refuse(const char* context, const char* param) {
  if (error_) return;
  error_ = DownstreamError(ErrorCode::kInvalidParam, context);
  error_->param = param;
}

std::optional<Error> RequestReader::Read(Cursor root) {
  if (!root.is_object()) {
    Refuse("the body must be a JSON object", nullptr);
    return error_;
  }
  view_.empty = root.is_empty();
  Cursor cursor = root;
  cursor.EachMember([this](std::string_view key, Cursor value) { Take(key, value); });
  const std::uint32_t missing = fields_.required & ~seen_;
  if (missing != 0) {
    const auto first = static_cast<Field>(__builtin_ctz(missing));
    Refuse("a required field is missing", FieldName(first));
  }
  return error_;
}

void RequestReader::Take(std::string_view raw_key, Cursor value) {
  constexpr std::size_t kLongestName = 32;  // decoded; every field's name is shorter
  char decoded[kLongestName];
  Field field = LookupField(raw_key);
  if (field == Field::kUnknown && raw_key.find('\\') != std::string_view::npos) {
    const std::size_t n = json::Unescape(raw_key, decoded);
    if (n != std::string_view::npos) field = LookupField({decoded, n});
  }
  if ((fields_.read & Bit(field)) == 0 || field == Field::kUnknown) return;
  field_ = field;
  seen_ |= Bit(field);
  if (value.is_null()) {
    // Where OpenAI's schema says nullable, null means absent; the splice still has to replace the token.
    if (field == Field::kStream) view_.stream_token = SpanOf(value);
    if (field == Field::kStreamOptions) view_.stream_options = SpanOf(value);
    if ((fields_.required & Bit(field)) != 0) Refuse("must not be null");
    return;
  }
  TakeField(field, value);
}

void RequestReader::TakeField(Field field, Cursor value) {
  switch (field) {
    case Field::kUnknown: return;
    case Field::kModel: return TakeModel(value);
    case Field::kMessages: return TakeMessages(value);
    case Field::kPrompt: return TakePrompt(value);
    case Field::kInput: return TakeInput(value);
    case Field::kStream:
      if (!value.is_bool()) return Refuse("must be a boolean");
      view_.stream = value.is_true();
      view_.stream_token = SpanOf(value);
      return;
    case Field::kStreamOptions: return TakeStreamOptions(value);
    case Field::kTemperature: view_.temperature = TakeFraction(value); return;
    case Field::kTopP: TakeFraction(value); return;
    case Field::kSeed:
      if (!value.is_number() || !IsIntegral(value.scalar())) return Refuse("must be an integer");
      view_.has_seed = true;
      return;
    case Field::kN: view_.n = TakeInteger(value, 1, kChoicesMax); return;
    case Field::kMaxTokens:
      // Zero asks a completions backend to score the prompt it echoes.
      view_.max_tokens = TakeInteger(value, view_.family == Family::kCompletions ? 0 : 1, kMaxTokensMax);
      return;
    case Field::kMaxCompletionTokens:
    case Field::kMaxOutputTokens: view_.max_tokens = TakeInteger(value, 1, kMaxTokensMax); return;
    case Field::kStop: return TakeStop(value);
    case Field::kUser:
      if (!value.is_string()) return Refuse("must be a string");
      view_.user = SpanOf(value);
      return;
  }
}

void RequestReader::TakeModel(Cursor value) {
  if (!value.is_string()) return Refuse("must be a string");
  const std::string_view raw = value.raw_string();
  view_.model_token = SpanOf(value);
  std::size_t size = raw.size();
  if (raw.find('\\') != std::string_view::npos) {
    view_.model_decoded_ = true;
    size = json::Unescape(raw, view_.model_storage_);
  }
  if (size == 0) return Refuse("must not be empty");
  if (size > kModelNameMax) {
    view_.model_decoded_ = false;
    return Refuse("longer than any model's name");
  }
  view_.model_size_ = static_cast<std::uint32_t>(size);
}

void RequestReader::TakeMessages(Cursor value) {
  if (!value.is_array()) return Refuse("must be an array of messages");
  if (value.is_empty()) return Refuse("must not be empty");
  bool objects = true;
  std::uint32_t count = 0;
  const std::uint32_t begin = value.offset();
  const char* const body = view_.body.data();
  value.EachElement([&](Cursor message) {
    objects &= message.is_object();
    ++count;
  });
  if (!objects) return Refuse("every message must be an object");
  view_.prompt = {begin, static_cast<std::uint32_t>(value.last_end() - body) - begin};
  view_.prompt_items = count;
}

void RequestReader::TakePrompt(Cursor value) {
  if (!value.is_string() && !value.is_array()) return Refuse("must be a string or an array");
  if (value.is_empty()) return Refuse("must not be empty");
  TakeInput(value);
}

void RequestReader::TakeInput(Cursor value) {
  if (!value.is_string() && !value.is_array()) return Refuse("must be a string or an array");
  if (value.is_array() && value.is_empty()) return Refuse("must not be empty");
  view_.prompt = SpanOf(value);
  view_.prompt_items = 1;
  if (!value.is_array()) return;
  // ["a", "b"] and [[1, 2], [3]] are many inputs, [1, 2] is one of token ids.
  std::uint32_t count = 0;
  bool token_ids = false;
  bool inputs = true;
  value.EachElement([&](Cursor item) {
    ++count;
    token_ids |= item.is_number();
    inputs &= item.is_number() || item.is_string() || item.is_array() || item.is_object();
  });
  if (!inputs) return Refuse("every element must be a string, token ids or an object");
  view_.prompt_items = token_ids ? 1 : count;
}

void RequestReader::TakeStreamOptions(Cursor value) {
  if (!value.is_object()) return Refuse("must be an object");
  view_.stream_options = SpanOf(value);
  view_.stream_options_empty = value.is_empty();
  value.EachMember([this](std::string_view raw_key, Cursor option) {
    constexpr std::string_view kIncludeUsage = "include_usage";
    char decoded[kIncludeUsage.size()];
    std::string_view key = raw_key;
    if (key.find('\\') != std::string_view::npos) {
      const std::size_t n = json::Unescape(raw_key, decoded);
      key = n == std::string_view::npos ? std::string_view{} : std::string_view{decoded, n};
    }
    if (key != kIncludeUsage) return;
    if (!option.is_bool() && !option.is_null()) return Refuse("must be a boolean", "stream_options.include_usage");
    view_.include_usage = option.is_true();
    view_.include_usage_token = SpanOf(option);
  });
}

void RequestReader::TakeStop(Cursor value) {
  if (value.is_string()) return;
  if (!value.is_array()) return Refuse("must be a string or an array of strings");
  std::uint32_t count = 0;
  bool strings = true;
  value.EachElement([&](Cursor item) {
    ++count;
    strings &= item.is_string();
  });
  if (!strings) return Refuse("must be a string or an array of strings");
  if (count > kStopMax) Refuse("too many stop sequences");
}

std::optional<double> RequestReader::TakeFraction(Cursor value) {
  if (!value.is_number()) {
    Refuse("must be a number");
    return std::nullopt;
  }
  const double number = json::NumberValue(value.scalar());
  if (number < 0) Refuse("must not be negative");
  return number;
}

std::uint32_t RequestReader::TakeInteger(Cursor value, std::int64_t min, std::int64_t max) {
  if (value.is_number()) {
    const std::optional<std::int64_t> number = json::IntegerValue(value.scalar());
    if (number && *number >= min && *number <= max) return static_cast<std::uint32_t>(*number);
  }
  Refuse(value.is_number() ? "must be an integer within its range" : "must be an integer");
  return 1;
}

Span RequestReader::SpanOf(Cursor value) const noexcept {
  const std::string_view bytes = value.Take();
  return {static_cast<std::uint32_t>(bytes.data() - view_.body.data()), static_cast<std::uint32_t>(bytes.size())};
}

/// Of the text that the workspace's document is of, unless there is a fault.
Result<RequestView> RequestReader::View(Family family, JsonParser& parser, const json::Fault& fault) {
  JsonParser::Workspace& workspace = parser.workspace();
  RequestView view;
  std::optional<Error> error;
  if (fault) {
    error = DownstreamError(fault.code, fault.context);
    error->offset = fault.offset;
  } else {
    const json::Document& document = workspace.document;
    view.family = family;
    view.body = {document.bytes, document.size};
    view.end = document.tokens[document.count - 1];
    view.parser_ = &workspace;
    view.text_ = workspace.text;
    error = RequestReader(view, FieldsOf(family)).Read(json::Cursor(document));
  }
  workspace.Trim();
  if (error) return *error;
  return view;
}

Result<RequestView> ParseRequest(Family family, std::string_view body, JsonParser& parser) {
  return RequestReader::View(family, parser, parser.workspace().ParseRequest(body));
}

Result<RequestView> ViewRequest(Family family, std::string_view body, JsonParser& parser) {
  return RequestReader::View(family, parser, parser.workspace().TakeNotes(body));
}

}  // namespace penstock::llm
