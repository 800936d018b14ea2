#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "penstock/http/head.hpp"
#include "proxy/request_context.hpp"

namespace penstock::proxy {

/// `lower`: a media type; what follows it (parameters) does not count. Compared without case (RFC 9110 8.3.1).
bool HasMediaType(const http::Head& head, std::string_view lower) noexcept;
inline bool IsEventStream(const http::Head& head) noexcept { return HasMediaType(head, "text/event-stream"); }

/// Copies what an upstream may tell the client: everything but what belongs to the connection or to us.
void CopyResponseFields(const http::Head& from, http::Head& to);

/// Builds the upstream's request head: an allow-list of the client's fields (CONTRACT section 4), ours beside them.
void BuildUpstreamHead(const RequestContext& context, const upstream::Endpoint& endpoint, std::size_t body_size,
                       std::uint32_t attempt, http::Head& to);

/// All Cache-Control fields of a request or an answer as one.
cache::CacheControl CacheControlOf(const http::Head& head) noexcept;

void SetContentLength(http::Head& head, std::uint64_t size);
/// When an upstream that refused wants to be asked again; nothing: it did not say, or not so that it could be read.
std::optional<Duration> RetryAfterOf(const http::Head& refusal, WallTime now) noexcept;
/// retry-after in whole seconds (at least 1, at most 60) and retry-after-ms.
void AddRetryAfter(http::Head& head, Duration wait);
/// 1 to 128 of [A-Za-z0-9._-].
bool IsValidRequestId(std::string_view id) noexcept;

}  // namespace penstock::proxy
