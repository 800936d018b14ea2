#include "proxy/refused_answer.hpp"

#include "penstock/llm/error_shapes.hpp"

namespace penstock::proxy {

void ReplyRefusal(RequestContext& context, Answer& answer, const http::Head& head, const std::string& body) {
  std::string wrapped;
  const llm::UpstreamErrorBody shape =
      llm::NormaliseError(context.family(), head.status, body, context.record.id(), context.worker.json, wrapped);
  answer.ReplyUpstream(head, "application/json", shape.pass ? body : wrapped);
}

void ReplyRefusal(RequestContext& context, Answer& answer, std::uint16_t status, const std::string& body) {
  const http::HeadPtr head = context.worker.heads.Take();
  head->status = status;
  ReplyRefusal(context, answer, *head, body);
}

}  // namespace penstock::proxy
