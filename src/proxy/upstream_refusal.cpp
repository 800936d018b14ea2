#include "proxy/upstream_refusal.hpp"

namespace penstock::proxy {

UpstreamRefusal ReadRefusal(RequestContext& context, std::uint16_t status, const std::string& sent) {
  UpstreamRefusal read;
  const llm::UpstreamErrorBody shape =
      llm::NormaliseError(context.family(), status, sent, context.record.id(), context.worker.json, read.body);
  if (shape.pass) read.body = sent;
  read.refusal = shape.refusal;
  return read;
}

}  // namespace penstock::proxy
