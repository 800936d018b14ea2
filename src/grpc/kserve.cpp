#include "grpc/kserve.hpp"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "grpc/json_members.hpp"
#include "grpc/kserve_fields.hpp"
#include "grpc/parse_message.hpp"
#include "grpc/tensor.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::grpc::kserve {
namespace {

using Refusal = std::optional<Error>;

constexpr const char* kTwice = "the same member of the body is given twice";

Error Refused(const char* param, const char* context) {
  Error error = DownstreamError(ErrorCode::kInvalidParam, context);
  error.param = param;
  return error;
}

std::string Quoted(std::string_view text) {
  std::string json;
  json.reserve(text.size() + 2);
  AppendQuoted(json, text);
  return json;
}

bool IsOneOf(std::string_view text, std::string_view lower, std::string_view title) {
  return text == lower || text == title;
}

/// The JSON text of `value` as `kind` has it, empty: it is none. Numbers and truth values may be written as texts, as
/// clients must where a tensor or a request's parameter cannot hold them, and as Triton's vLLM backend takes them.
std::string JsonOf(FieldKind kind, const Scalar& value) {
  const bool text = value.type == ScalarType::kText;
  switch (kind) {
    case FieldKind::kInteger:
      if (text && IsInteger(value.text)) return std::string(value.text);
      return value.type == ScalarType::kInteger ? value.json : std::string();
    case FieldKind::kNumber:
      if (text && IsNumber(value.text)) return std::string(value.text);
      return value.type == ScalarType::kInteger || value.type == ScalarType::kNumber ? value.json : std::string();
    case FieldKind::kBool:
      if (text && IsOneOf(value.text, "true", "True")) return "true";
      if (text && IsOneOf(value.text, "false", "False")) return "false";
      return value.type == ScalarType::kBool ? value.json : std::string();
    case FieldKind::kText: return text && llm::IsUtf8(value.text) ? Quoted(value.text) : std::string();
    default: return {};
  }
}

/// Owned by one Worker. Puts the body of one request together.
class BodyWriter {
 public:
  BodyWriter(const Method& method, ReplyFacts& facts) : method_(method), facts_(facts) {}

  Refusal Read(const inference::ModelInferRequest& request);
  void Write(std::string& json) const { members_.Write(json); }

 private:
  Refusal ReadInputs(const inference::ModelInferRequest& request);
  Refusal ReadParameters(const inference::ModelInferRequest& request);
  Refusal ReadOutputs(const inference::ModelInferRequest& request);
  Refusal ReadSampling(const char* param, std::string_view json);
  Refusal CountChoices();

  /// `where`: "inputs" or "parameters", for a name that is not known.
  Refusal Take(std::string_view name, const char* where, std::span<const Scalar> values);
  Refusal TakeKnown(const Field& field, std::span<const Scalar> values);
  Refusal TakeOne(const Field& field, const Scalar& value);
  Refusal TakeFlag(const Field& field, bool value);
  Refusal TakePrompts(const Field& field, std::span<const Scalar> values);
  Refusal TakeTexts(const Field& field, std::span<const Scalar> values);
  Refusal TakeBeams(const Field& field, const std::string& count);
  Refusal Put(const char* param, std::string_view member, std::string json) {
    if (members_.Put(member, std::move(json))) return std::nullopt;
    return Refused(param, kTwice);
  }

  const Method& method_;
  ReplyFacts& facts_;
  JsonMembers members_;
  std::size_t prompts_ = 0;
};

Refusal BodyWriter::Read(const inference::ModelInferRequest& request) {
  if (request.model_name().empty()) return Refused("model_name", "a model is needed");
  members_.Put("model", Quoted(request.model_name()));
  if (Refusal refusal = ReadInputs(request)) return refusal;
  if (Refusal refusal = ReadParameters(request)) return refusal;
  if (prompts_ == 0) return Refused("text_input", "the tensor text_input is needed");
  if (Refusal refusal = ReadOutputs(request)) return refusal;
  return CountChoices();
}

Refusal BodyWriter::ReadInputs(const inference::ModelInferRequest& request) {
  const bool raw = !request.raw_input_contents().empty();
  if (raw && request.raw_input_contents_size() != request.inputs_size()) {
    return Refused("raw_input_contents", "there must be one for each input");
  }
  std::vector<Scalar> values;
  for (int i = 0; i < request.inputs_size(); ++i) {
    const auto& tensor = request.inputs(i);
    const Field* const field = FindField(tensor.name());
    const char* const param = field != nullptr ? field->name : "inputs";
    if (raw && tensor.has_contents()) return Refused(param, "contents beside raw_input_contents");
    if (tensor.parameters().contains("shared_memory_region")) return Refused(param, "shared memory is not served");
    if (const char* fault = ReadTensor(tensor, raw ? &request.raw_input_contents(i) : nullptr, values)) {
      return Refused(param, fault);
    }
    if (Refusal refusal = Take(tensor.name(), "inputs", values)) return refusal;
  }
  return std::nullopt;
}

Refusal BodyWriter::ReadParameters(const inference::ModelInferRequest& request) {
  using Parameter = inference::InferParameter;
  for (const auto& [name, parameter] : request.parameters()) {
    Scalar value = Scalar::Bool(false);
    switch (parameter.parameter_choice_case()) {
      case Parameter::kBoolParam: value = Scalar::Bool(parameter.bool_param()); break;
      case Parameter::kInt64Param: value = Scalar::Whole(parameter.int64_param()); break;
      case Parameter::kStringParam: value = Scalar::Text(parameter.string_param()); break;
      case Parameter::kDoubleParam: value = Scalar::Number(parameter.double_param()); break;
      case Parameter::kUint64Param: value = Scalar::Whole(parameter.uint64_param()); break;
      case Parameter::PARAMETER_CHOICE_NOT_SET: return Refused("parameters", "a parameter has no value");
    }
    if (Refusal refusal = Take(name, "parameters", {&value, 1})) return refusal;
  }
  return std::nullopt;
}

/// None asked for: text_output, and what inputs asked for.
Refusal BodyWriter::ReadOutputs(const inference::ModelInferRequest& request) {
  if (request.outputs().empty()) return std::nullopt;
  facts_.text_output = facts_.finish_reason = false;
  for (const auto& output : request.outputs()) {
    if (output.parameters().contains("shared_memory_region") || output.parameters().contains("classification")) {
      return Refused("outputs", "shared memory and classification are not served");
    }
    if (output.name() == "text_output") {
      facts_.text_output = true;
    } else if (output.name() == "finish_reason") {
      facts_.finish_reason = true;
    } else {
      return Refused("outputs", "an output that no model here has");
    }
  }
  return std::nullopt;
}

Refusal BodyWriter::CountChoices() {
  std::size_t each = 1;
  if (const std::string* n = members_.Find("n")) {
    const auto [end, error] = std::from_chars(n->data(), n->data() + n->size(), each);
    // What is no count at all is the backend's to refuse; one that is too large must not size the answer.
    if (error == std::errc::result_out_of_range) each = kElementsMax + 1;
    each = std::max<std::size_t>(each, 1);
  }
  if (each > kElementsMax / prompts_) return Refused("n", "too many texts for one answer");
  facts_.choices = static_cast<std::uint32_t>(each * prompts_);
  return std::nullopt;
}

Refusal BodyWriter::Take(std::string_view name, const char* where, std::span<const Scalar> values) {
  if (const Field* field = FindField(name)) return TakeKnown(*field, values);
  if (values.size() != 1) return Refused(where, "an unknown tensor of several values");
  const Scalar& value = values.front();
  std::string json = value.type == ScalarType::kText ? JsonOf(FieldKind::kText, value) : value.json;
  if (json.empty()) return Refused(where, "an unknown name with a value that JSON cannot hold");
  return Put(where, name, std::move(json));
}

Refusal BodyWriter::TakeKnown(const Field& field, std::span<const Scalar> values) {
  if (field.kind == FieldKind::kPrompt) return TakePrompts(field, values);
  if (field.kind == FieldKind::kTexts) return TakeTexts(field, values);
  // A batch has one value for each text; the body has one for all.
  if (std::ranges::adjacent_find(values, std::not_equal_to<>()) != values.end()) {
    return Refused(field.name, "values that differ within a batch are not served");
  }
  return TakeOne(field, values.front());
}

Refusal BodyWriter::TakeOne(const Field& field, const Scalar& value) {
  switch (field.kind) {
    case FieldKind::kNone: return std::nullopt;
    case FieldKind::kMembers:
      if (value.type != ScalarType::kText) return Refused(field.name, "a JSON object is needed");
      return ReadSampling(field.name, value.text);
    case FieldKind::kStream:
    case FieldKind::kNotEcho:
    case FieldKind::kFinishReason:
    case FieldKind::kOnlyFalse:
    case FieldKind::kEmptyFinal: {
      const std::string json = JsonOf(FieldKind::kBool, value);
      if (json.empty()) return Refused(field.name, "true or false is needed");
      return TakeFlag(field, json == "true");
    }
    case FieldKind::kBeams:
    case FieldKind::kTokens: {
      std::string json = JsonOf(FieldKind::kInteger, value);
      if (json.empty()) return Refused(field.name, "an integer is needed");
      return field.kind == FieldKind::kBeams ? TakeBeams(field, json) : Put(field.name, field.member, '[' + json + ']');
    }
    default: {
      std::string json = JsonOf(field.kind, value);
      if (json.empty()) return Refused(field.name, "a value of another type is needed");
      return Put(field.name, field.member, std::move(json));
    }
  }
}

Refusal BodyWriter::TakeFlag(const Field& field, bool value) {
  switch (field.kind) {
    case FieldKind::kEmptyFinal: facts_.empty_final = value; return std::nullopt;
    case FieldKind::kFinishReason: facts_.finish_reason = value; return std::nullopt;
    case FieldKind::kNotEcho: return value ? std::nullopt : Put(field.name, field.member, "true");
    case FieldKind::kStream:
      if (value && !method_.server_streams) {
        return Refused(field.name, "ModelInfer gives one answer: a stream needs ModelStreamInfer");
      }
      facts_.stream = value;
      return value ? Put(field.name, field.member, "true") : std::nullopt;
    default:
      if (value) return Refused(field.name, "this output is not served");
      return std::nullopt;
  }
}

Refusal BodyWriter::TakePrompts(const Field& field, std::span<const Scalar> values) {
  std::string json = values.size() == 1 ? "" : "[";
  for (const Scalar& value : values) {
    if (value.type != ScalarType::kText) return Refused(field.name, "a tensor of BYTES is needed");
    if (!llm::IsUtf8(value.text)) return Refused(field.name, "the text is not UTF-8");
    if (json.size() > 1) json += ',';
    AppendQuoted(json, value.text);
  }
  if (values.size() != 1) json += ']';
  prompts_ = values.size();
  return Put(field.name, field.member, std::move(json));
}

Refusal BodyWriter::TakeTexts(const Field& field, std::span<const Scalar> values) {
  std::string json = "[";
  for (const Scalar& value : values) {
    if (value.type != ScalarType::kText) return Refused(field.name, "a tensor of BYTES is needed");
    if (value.text.empty()) continue;
    if (!llm::IsUtf8(value.text)) return Refused(field.name, "the text is not UTF-8");
    if (json.size() > 1) json += ',';
    AppendQuoted(json, value.text);
  }
  if (json.size() == 1) return std::nullopt;
  return Put(field.name, field.member, json + ']');
}

/// One beam is sampling, as without this tensor.
Refusal BodyWriter::TakeBeams(const Field& field, const std::string& count) {
  if (count == "1") return std::nullopt;
  if (Refusal refusal = Put(field.name, field.member, count)) return refusal;
  return Put(field.name, "use_beam_search", "true");
}

/// vLLM's sampling parameters, under their own names. Numbers and truth values may be written as texts here too, as
/// Triton's own examples do.
Refusal BodyWriter::ReadSampling(const char* param, std::string_view json) {
  JsonMembers sampling;
  switch (ReadMembers(json, sampling)) {
    case JsonMembers::Fault::kNone: break;
    case JsonMembers::Fault::kSyntax: return Refused(param, "not a JSON object");
    case JsonMembers::Fault::kDuplicate: return Refused(param, kTwice);
  }
  for (const auto& [name, value] : sampling) {
    if (name == "stream") return Refused(param, "stream is a tensor of its own");
    std::string json_value = value;
    const Field* const field = FindField(name);
    if (field != nullptr && field->kind <= FieldKind::kBool && value.starts_with('"')) {
      json_value = JsonOf(field->kind, Scalar::Text(std::string_view(value).substr(1, value.size() - 2)));
      if (json_value.empty()) return Refused(field->name, "a value of another type is needed");
    }
    if (Refusal refusal = Put(param, name, std::move(json_value))) return refusal;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> WriteBody(const Method& method, std::string_view message, std::string& json, ReplyFacts& facts) {
  json.clear();
  facts = ReplyFacts{};
  if (!HasFewParts(message)) return Refused("inputs", "too many inputs, elements or parameters");
  google::protobuf::Arena arena;
  auto& request = *google::protobuf::Arena::CreateMessage<inference::ModelInferRequest>(&arena);
  if (!ParseMessage(message, request)) {
    return DownstreamError(ErrorCode::kBadRequest, "the message is no inference.ModelInferRequest");
  }
  facts.id = request.id();
  facts.model = request.model_name();
  facts.version = request.model_version();
  BodyWriter writer(method, facts);
  if (Refusal refusal = writer.Read(request)) return refusal;
  writer.Write(json);
  return std::nullopt;
}

}  // namespace penstock::grpc::kserve
