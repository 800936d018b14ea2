#include "proxy/balance_key.hpp"

#include "penstock/base/xxh64.hpp"

namespace penstock::proxy {
namespace {

constexpr std::uint64_t kSeed = 0x70656e73746f636b;  // any number, as long as every gateway has the same

std::string_view SessionOf(const http::Head& head) noexcept {
  for (const std::string_view name : config::kSessionHeaders) {
    if (const std::string_view value = head.Find(name); !value.empty()) return value;
  }
  return {};
}

/// Empty: the request has none.
std::string_view KeyBytes(const RequestContext& context, const config::HashKey& key) noexcept {
  using Source = config::HashKey::Source;
  const llm::RequestView& request = *context.request;
  switch (key.source) {
    case Source::kNone: break;
    case Source::kHeader: return context.head->Find(key.header);
    case Source::kUser: return request.user.size > 2 ? request.user.In(request.body) : std::string_view{};  // `""`
    case Source::kSession: return SessionOf(*context.head);
    case Source::kPrefix: return request.prompt.In(request.body).substr(0, key.prefix);
  }
  return {};
}

}  // namespace

std::uint32_t UnitsOf(const RequestContext& context) noexcept {
  const llm::RequestView& request = *context.request;
  return policy::UnitsOfPrompt(request.prompt ? request.prompt.size : request.body.size());
}

policy::PickContext PickFor(const RequestContext& context) {
  policy::PickContext pick{context.worker.worker.prng(), context.now()};
  const std::string_view bytes = KeyBytes(context, context.cluster->route->config->balancer.key);
  if (!bytes.empty()) pick.hash = Xxh64(bytes, kSeed);
  pick.units = UnitsOf(context);
  pick.breakers = context.model->breakers->open();
  return pick;
}

}  // namespace penstock::proxy
