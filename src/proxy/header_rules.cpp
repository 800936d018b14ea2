#include "proxy/header_rules.hpp"

#include <algorithm>

#include "penstock/policy/retry_after.hpp"
#include "proxy/text.hpp"

namespace penstock::proxy {
namespace {

using http::HeaderId;

/// By name, what the switch below does not know: belongs to the upstream's own connection or deployment.
bool IsOfUpstreamOnly(std::string_view name) noexcept {
  switch (name.front()) {
    case 'a': return name.starts_with("access-control-") || name == "alt-svc";
    case 's': return name == "strict-transport-security";
    case 'v': return name == "via";
    case 'w': return name == "www-authenticate";  // of our credentials there
    case 'x': return name.starts_with("x-penstock-") || name == "x-should-retry";
    case 'p': return name.starts_with("proxy-");
    default: return false;
  }
}

bool IsForwardedToUpstream(std::string_view name) noexcept {
  return name.starts_with("openai-") || name.starts_with("anthropic-") || name.starts_with("x-stainless-");
}

/// Nearly always Connection says only what becomes of the connection.
bool NamesFields(const http::Head& head) noexcept {
  for (std::size_t i = 0; i < head.size(); ++i) {
    const http::Head::Field field = head.field(i);
    if (field.id != HeaderId::kConnection) continue;
    if (field.value != "keep-alive" && field.value != "close") return true;
  }
  return false;
}

/// A field that Connection names is for the next hop alone (RFC 9110 7.6.1). `name` is in lower case.
bool IsNamedByConnection(const http::Head& head, std::string_view name) {
  for (std::size_t i = 0; i < head.size(); ++i) {
    const http::Head::Field field = head.field(i);
    if (field.id != HeaderId::kConnection) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      std::string_view token = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(token.size() + 1, rest.size()));
      token.remove_prefix(std::min(token.find_first_not_of(" \t"), token.size()));
      token = token.substr(0, token.find_last_not_of(" \t") + 1);
      if (EqualsLower(token, name)) return true;
    }
  }
  return false;
}

}  // namespace

bool HasMediaType(const http::Head& head, std::string_view lower) noexcept {
  return EqualsLower(head.Find(HeaderId::kContentType).substr(0, lower.size()), lower);
}

void CopyResponseFields(const http::Head& from, http::Head& to) {
  const bool names_fields = NamesFields(from);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const http::Head::Field field = from.field(i);
    if (names_fields && IsNamedByConnection(from, field.name)) continue;
    switch (field.id) {
      case HeaderId::kConnection:
      case HeaderId::kServer:  // what runs behind is nobody's business (server.expose_upstream)
      case HeaderId::kServerTiming:
      case HeaderId::kXPenstockCache:  // an upstream may be a gateway of our kind
      case HeaderId::kXPenstockCacheKey:
      case HeaderId::kXPenstockModel:
      case HeaderId::kKeepAlive:
      case HeaderId::kProxyConnection:
      case HeaderId::kTransferEncoding:
      case HeaderId::kUpgrade:
      case HeaderId::kTe:
      case HeaderId::kTrailer:
      case HeaderId::kContentLength:
      case HeaderId::kSetCookie:
      case HeaderId::kRequestId:
      case HeaderId::kRetryAfter:
      case HeaderId::kRetryAfterMs:
      case HeaderId::kXRequestId: continue;
      case HeaderId::kOther:
        if (IsOfUpstreamOnly(field.name)) continue;
        break;
      default: break;
    }
    to.Add(field.name, field.value, field.id);
  }
}

void BuildUpstreamHead(const RequestContext& context, const upstream::Endpoint& endpoint, std::size_t body_size,
                       std::uint32_t attempt, http::Head& to) {
  const http::Head& from = *context.head;
  const config::Endpoint& spec = endpoint.spec();
  to.method = from.method;
  to.set_method_text(from.method_text());
  to.set_scheme(spec.url.https ? "https" : "http");
  to.set_authority(endpoint.authority());
  to.set_target(context.route->target.empty() ? from.target() : context.route->target, spec.url.path);
  bool content_type = false;
  const auto& extra = context.snapshot().config.server.forward_headers;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const http::Head::Field field = from.field(i);
    switch (field.id) {
      case HeaderId::kContentType:
        if (context.grpc != nullptr) continue;  // it is JSON by now
        content_type = true;
        break;
      case HeaderId::kAccept:
      case HeaderId::kUserAgent:
      case HeaderId::kTraceparent:
      case HeaderId::kTracestate: break;
      case HeaderId::kOther:
        if (IsForwardedToUpstream(field.name)) break;
        if (std::find(extra.begin(), extra.end(), field.name) != extra.end()) break;
        continue;
      default: continue;
    }
    to.Add(field.name, field.value, field.id);
  }
  if (!content_type) to.Add("content-type", "application/json", HeaderId::kContentType);
  to.Add("accept-encoding", "identity", HeaderId::kAcceptEncoding);
  std::array<char, 40> id;
  WriteRandomId(context.worker.worker.prng(), id.data());
  id[32] = '-';
  const char* end = std::to_chars(id.data() + 33, id.data() + id.size(), attempt).ptr;
  to.Add("x-request-id", {id.data(), static_cast<std::size_t>(end - id.data())}, HeaderId::kXRequestId);
  if (!endpoint.authorization().empty()) to.Add("authorization", endpoint.authorization(), HeaderId::kAuthorization);
  SetContentLength(to, body_size);
}

cache::CacheControl CacheControlOf(const http::Head& head) noexcept {
  cache::CacheControl control;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const http::Head::Field field = head.field(i);
    if (field.id == HeaderId::kCacheControl) control |= cache::ParseCacheControl(field.value);
  }
  return control;
}

void SetContentLength(http::Head& head, std::uint64_t size) {
  head.content_length = size;
  head.Add("content-length", Decimal(size).view(), HeaderId::kContentLength);
}

std::optional<Duration> RetryAfterOf(const http::Head& refusal, WallTime now) noexcept {
  return policy::ParseRetryAfter(refusal.Find(HeaderId::kRetryAfter), refusal.Find(HeaderId::kRetryAfterMs), now);
}

void AddRetryAfter(http::Head& head, Duration wait) {
  const auto milliseconds = std::clamp<std::int64_t>(wait.count() / 1'000'000, 1, 60'000);
  head.Add("retry-after", Decimal(static_cast<std::uint64_t>((milliseconds + 999) / 1000)).view(),
           HeaderId::kRetryAfter);
  head.Add("retry-after-ms", Decimal(static_cast<std::uint64_t>(milliseconds)).view(), HeaderId::kRetryAfterMs);
}

bool IsValidRequestId(std::string_view id) noexcept {
  if (id.empty() || id.size() > 128) return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

}  // namespace penstock::proxy
