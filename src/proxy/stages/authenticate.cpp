#include "proxy/stages/stages.hpp"

namespace penstock::proxy {
namespace {

bool IsBearer(std::string_view scheme) noexcept {
  constexpr std::string_view kBearer = "bearer";
  if (scheme.size() != kBearer.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    if ((scheme[i] | 0x20) != kBearer[i]) return false;
  }
  return true;
}

/// The key as the client sent it: `Authorization: Bearer KEY` (RFC 6750 2.1), or Anthropic's x-api-key. Empty: none.
std::string_view OfferedKey(const http::Head& head) noexcept {
  const std::string_view authorization = head.Find(http::HeaderId::kAuthorization);
  if (authorization.empty()) return head.Find(http::HeaderId::kXApiKey);
  const std::size_t space = authorization.find(' ');
  if (space == authorization.npos || !IsBearer(authorization.substr(0, space))) return authorization;  // fits no key
  const std::size_t begin = authorization.find_first_not_of(' ', space);
  return begin == authorization.npos ? std::string_view{} : authorization.substr(begin);
}

}  // namespace

std::optional<Error> Authenticate(RequestContext& context) {
  const Tenants& tenants = *context.snapshot().tenants;
  if (context.route->kind == RouteKind::kHealth) return std::nullopt;
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
