#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

std::optional<Error> ParseBody(RequestContext& context) {
  Result<llm::RequestView> request = llm::ParseRequest(context.route->family, context.body, context.worker.json);
  if (!request.has_value()) return request.error();
  context.request = *request;
  return std::nullopt;
}

}  // namespace penstock::proxy
