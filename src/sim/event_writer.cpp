#include "sim/event_writer.hpp"

namespace penstock::sim {

void Put(Chain& out, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) out.Append(part);
}

std::string ErrorEvent(const AnswerFacts& facts, std::uint16_t status, std::string_view message) {
  // In a stream TGI wraps its error and says 422 whatever happened; SGLang wraps what it sends bare otherwise.
  std::string text;
  AppendEscaped(text, message);
  if (facts.kind == Kind::kTgi) return R"({"error":{"message":")" + text + R"(","http_status_code":422}})";
  if (facts.kind == Kind::kTriton) return R"({"error":{"message":")" + text + R"("}})";
  if (facts.kind == Kind::kSglang)
    return R"({"error":)" + ErrorBody(facts.kind, facts.family, status, message, "") + "}";
  return ErrorBody(facts.kind, facts.family, status, message, "server_error");
}

std::unique_ptr<EventWriter> EventWriter::Make(const AnswerFacts& facts) {
  switch (facts.family) {
    case Family::kResponses: return MakeResponsesWriter(facts);
    case Family::kMessages: return MakeMessagesWriter(facts);
    default: return MakeChatWriter(facts);
  }
}

}  // namespace penstock::sim
