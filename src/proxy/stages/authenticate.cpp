#include "penstock/proxy/offered_key.hpp"
#include "proxy/stages/stages.hpp"

namespace penstock::proxy {

std::optional<Error> Authenticate(RequestContext& context) {
  const Tenants& tenants = *context.snapshot().tenants;
  if (context.route->open) return std::nullopt;
  const std::string_view key = tenants.open() ? std::string_view{} : OfferedKey(*context.head);
  if (key.empty()) {
    context.tenant = tenants.anonymous();
  } else {
    context.tenant = tenants.Find(Sha256::Of(key));
  }
  if (context.tenant != nullptr) return std::nullopt;
  return DownstreamError(ErrorCode::kInvalidApiKey,
                         key.empty() ? "an API key is required" : "the API key is not known");
}

}  // namespace penstock::proxy
