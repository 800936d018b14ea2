#include "proxy/cache_key.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "proxy/header_rules.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kKeyHeadersMax = 16;

/// The fields that go upstream and may change what is answered, in one order always. Those of SDKs about themselves
/// (x-stainless-*, user-agent) do not. Nothing: there are more than anybody sends in good faith.
std::optional<std::span<const cache::KeyHeader>> KeyHeaders(const RequestContext& context,
                                                            std::array<cache::KeyHeader, kKeyHeadersMax>& out) {
  const http::Head& head = *context.head;
  const auto& extra = context.snapshot().config.server.forward_headers;
  std::size_t count = 0;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const http::Head::Field field = head.field(i);
    if (field.id != http::HeaderId::kOther) continue;
    if (!field.name.starts_with("openai-") && !field.name.starts_with("anthropic-") &&
        std::find(extra.begin(), extra.end(), field.name) == extra.end()) {
      continue;
    }
    if (count == out.size()) return std::nullopt;
    // By name; fields of one name keep their order, which has a meaning (RFC 9110 5.3).
    const auto end = out.begin() + static_cast<std::ptrdiff_t>(count++);
    const auto place = std::find_if(out.begin(), end, [&field](const auto& other) { return field.name < other.name; });
    std::move_backward(place, end, end + 1);
    *place = {field.name, field.value};
  }
  return std::span<const cache::KeyHeader>(out.data(), count);
}

}  // namespace

cache::Admission AdmissionOf(const RequestContext& context) {
  return cache::Admit(*context.request, context.model->store,
                      cache::ParseCacheMode(context.head->Find(http::HeaderId::kXPenstockCache)),
                      CacheControlOf(*context.head));
}

std::optional<cache::CacheKey> KeyOf(RequestContext& context) {
  std::array<cache::KeyHeader, kKeyHeadersMax> place;
  const auto headers = KeyHeaders(context, place);
  if (!headers.has_value()) return std::nullopt;
  const cache::KeyBuilder builder(context.tenant->scope, context.worker.tiers.shared().epochs.all().load(),
                                  context.tenant->epoch->load());
  return builder.Build(context.model->identity, context.model->epoch->load(), *context.request, *headers,
                       context.worker.json);
}

}  // namespace penstock::proxy
