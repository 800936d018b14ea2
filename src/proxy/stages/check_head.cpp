#include <string>

#include "proxy/client_address.hpp"
#include "proxy/stages/stages.hpp"
#include "proxy/text.hpp"

namespace penstock::proxy {
namespace {

using http::HeaderId;

/// "application/json", with or without parameters; another charset than UTF-8 is not JSON (RFC 8259 8.1).
bool IsJson(std::string_view content_type) noexcept {
  const std::size_t semicolon = content_type.find(';');
  std::string_view type = content_type.substr(0, semicolon);
  while (type.ends_with(' ')) type.remove_suffix(1);
  if (!EqualsLower(type, "application/json")) return false;
  if (semicolon == content_type.npos) return true;
  std::string_view parameter = content_type.substr(semicolon + 1);
  while (parameter.starts_with(' ')) parameter.remove_prefix(1);
  constexpr std::string_view kCharset = "charset=";
  if (!EqualsLower(parameter.substr(0, kCharset.size()), kCharset)) return true;
  parameter.remove_prefix(kCharset.size());
  if (parameter.starts_with('"') && parameter.ends_with('"') && parameter.size() >= 2)
    parameter = parameter.substr(1, parameter.size() - 2);
  return EqualsLower(parameter, "utf-8") || EqualsLower(parameter, "utf8") || EqualsLower(parameter, "us-ascii");
}

/// Without port and brackets. The codecs have seen to it that there is nothing else.
std::string_view HostOf(std::string_view authority) noexcept {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

/// Several lines become the list that they stand for (RFC 9110 5.3): `use` in one and `bypass` in the next must not be
/// less than `use, bypass`.
void JoinCacheLines(http::Head& head) {
  std::string joined;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const http::Head::Field field = head.field(i);
    if (field.id == HeaderId::kXPenstockCache) joined.append(joined.empty() ? "" : ", ").append(field.value);
  }
  head.Remove(HeaderId::kXPenstockCache);
  head.Add("x-penstock-cache", joined, HeaderId::kXPenstockCache);
}

}  // namespace

std::optional<Error> ChooseRoute(RequestContext& context) {
  const http::Head& head = *context.head;
  const Result<std::size_t> row = FindRoute(head.method, head.target(), context.argument);
  if (!row.has_value()) return row.error();
  // gRPC's content type on a path of HTTP, or a query behind a method: the route has a body that the call cannot have.
  if (context.grpc != nullptr && context.grpc->method == nullptr)
    return DownstreamError(ErrorCode::kNotFound, "no such method");
  context.route_index = *row;
  context.route = &Routes()[*row];
  return std::nullopt;
}

std::optional<Error> CheckAuthority(RequestContext& context) {
  if (context.client->Covers(HostOf(context.head->authority()))) return std::nullopt;
  if (IsTrustedProxy(context.client->peer(), context.snapshot().config.server)) return std::nullopt;
  return DownstreamError(ErrorCode::kMisdirectedRequest, "this connection's certificate is not good for that host");
}

std::optional<Error> CheckHead(RequestContext& context) {
  const http::Head& head = *context.head;
  if (context.route->grpc && context.grpc == nullptr)
    return DownstreamError(ErrorCode::kUnsupportedMedia, "this is a gRPC method: application/grpc over HTTP/2");
  if (context.route->kind != RouteKind::kInference) return std::nullopt;
  if (head.Has(HeaderId::kXPenstockCache) && head.Count(HeaderId::kXPenstockCache) > 1) JoinCacheLines(*context.head);

  const std::uint64_t body_max = context.snapshot().config.server.limits.request_body;
  if (head.content_length.has_value() && *head.content_length > body_max) {
    return DownstreamError(ErrorCode::kBodyTooLarge, "the request body is larger than the gateway takes");
  }
  const std::string_view coding = head.Find(HeaderId::kContentEncoding);
  if (!coding.empty() && !EqualsLower(coding, "identity")) {
    return DownstreamError(ErrorCode::kUnsupportedMedia, "compressed request bodies are not taken");
  }
  if (context.grpc == nullptr && head.Has(HeaderId::kContentType) && !IsJson(head.Find(HeaderId::kContentType))) {
    return DownstreamError(ErrorCode::kUnsupportedMedia, "the request body must be application/json in UTF-8");
  }
  return std::nullopt;
}

}  // namespace penstock::proxy
