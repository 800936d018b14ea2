#include "proxy/cache_key.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "penstock/rt/offload.hpp"
#include "proxy/header_rules.hpp"

namespace penstock::proxy {
namespace {

constexpr std::size_t kKeyHeadersMax = 16;

/// Of a body whose key is made on the loop. Putting members in order takes 30 ns a byte where they are all names
/// (90,000 of them in a megabyte), some 2 ms for this much; what people send, long texts, a fiftieth of that (FAULTS
/// J-13).
constexpr std::size_t kKeyHereMax = 64 * 1024;

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

cache::KeyBuilder BuilderOf(const RequestContext& context) {
  return {context.tenant->scope, context.worker.tiers.shared().epochs.all().load(), context.tenant->epoch->load()};
}

/// A key on its way to another thread and back. It owns what it reads; the view is good for the body wherever that is
/// moved to, because the text of a long string stays at its place.
struct KeyJob {
  cache::KeyBuilder builder;
  cache::ModelIdentity model;
  std::uint64_t model_epoch;
  llm::RequestView request;
  std::vector<std::pair<std::string, std::string>> headers;
  std::uint64_t seed;
  std::uint32_t depth_max;
  std::string body;

  struct Made {
    std::optional<cache::CacheKey> key;
    std::string body;
  };
  Made operator()() {
    std::vector<cache::KeyHeader> views;
    for (const auto& [name, value] : headers) views.push_back({name, value});
    llm::JsonParser parser(seed, depth_max);
    return {builder.Build(model, model_epoch, request, views, parser), std::move(body)};
  }
};

}  // namespace

cache::Admission AdmissionOf(const RequestContext& context) {
  return cache::Admit(*context.request, context.model->store,
                      cache::ParseCacheMode(context.head->Find(http::HeaderId::kXPenstockCache)),
                      CacheControlOf(*context.head));
}

std::uint64_t SumOfEpochs(const RequestContext& context) noexcept {
  return context.worker.tiers.shared().epochs.all().load() + context.tenant->epoch->load() +
         context.model->epoch->load();
}

rt::Task<std::optional<cache::CacheKey>> KeyOf(RequestContext& context) {
  std::array<cache::KeyHeader, kKeyHeadersMax> place;
  const auto headers = KeyHeaders(context, place);
  if (!headers.has_value()) co_return std::nullopt;
  const cache::ModelIdentity& model = context.model->identity;
  const std::uint64_t epoch = context.model->epoch->load();
  if (context.body.size() <= kKeyHereMax)
    co_return BuilderOf(context).Build(model, epoch, *context.request, *headers, context.worker.json);
  rt::Worker& worker = context.worker.worker;
  KeyJob job{BuilderOf(context),
             model,
             epoch,
             *context.request,
             {},
             worker.prng().Next(),
             context.snapshot().config.server.limits.json_depth,
             std::move(context.body)};
  for (const cache::KeyHeader& header : *headers) job.headers.emplace_back(header.name, header.value);
  KeyJob::Made made = co_await rt::Offload<KeyJob>(context.worker.offload, worker, std::move(job));
  context.body = std::move(made.body);
  co_return made.key;
}

}  // namespace penstock::proxy
