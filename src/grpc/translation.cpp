#include "penstock/grpc/translation.hpp"

#include "grpc/json_to_message.hpp"
#include "grpc/kserve.hpp"
#include "grpc/message_to_json.hpp"
#include "grpc/plan.hpp"
#include "penstock/llm/json_value.hpp"

namespace penstock::grpc {
namespace {

/// Appends the answer message; false when `json` is no object.
bool WriteAnswer(const Method& method, std::string_view json, llm::JsonParser& parser, std::string& out) {
  const MessagePlan* const plan = PlanOf(method).answer;
  if (plan == nullptr) return false;
  const std::optional<llm::json::Cursor> root = llm::ReadJson(json, parser);
  const bool object = root && root->is_object();
  if (object) WriteMessage(*plan, *root, out);
  llm::EndJson(parser);
  return object;
}

}  // namespace

std::optional<Error> TranslateRequest(const Method& method, std::string_view message, std::string& json,
                                      ReplyFacts& facts, llm::TokenNotes& notes) {
  facts.stream = method.server_streams;
  facts.empty_final = false;
  for (std::string* text : {&facts.id, &facts.model, &facts.version}) text->clear();
  if (method.service == Service::kKserve) return kserve::WriteBody(method, message, json, facts);
  const MessagePlan* const plan = PlanOf(method).request;
  if (plan == nullptr) return InternalError(ErrorCode::kInternal, "a method without a request to an upstream");
  std::optional<Error> error = WriteJson(*plan, message, method.server_streams, json, notes);
  if (method.service == Service::kModels) json.clear();  // a GET
  return error;
}

void AnswerTranslator::Begin(const Method& method, const ReplyFacts& facts) noexcept {
  method_ = &method;
  facts_ = &facts;
}

bool AnswerTranslator::Whole(std::string_view json, llm::JsonParser& parser, std::string& out) {
  if (method_->service == Service::kKserve) return kserve::Whole(*method_, *facts_, json, parser, out);
  return WriteAnswer(*method_, json, parser, out);
}

bool AnswerTranslator::Event(std::string_view data, llm::JsonParser& parser, std::string& out) {
  if (method_->service == Service::kKserve) return kserve::Event(*method_, *facts_, data, parser, out);
  const std::size_t before = out.size();
  return WriteAnswer(*method_, data, parser, out) && out.size() != before;
}

bool AnswerTranslator::Finish(std::string& out) {
  return method_->service == Service::kKserve && kserve::Finish(*method_, *facts_, out);
}

bool AnswerTranslator::Failure(std::string_view text, std::string& out) {
  return method_->service == Service::kKserve && kserve::Failure(*method_, *facts_, text, out);
}

}  // namespace penstock::grpc
