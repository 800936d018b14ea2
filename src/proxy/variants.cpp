#include "penstock/proxy/variants.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace penstock::proxy {

double LoadOf(const ClusterRoute& cluster) noexcept {
  std::uint64_t in_flight = 0;
  std::uint64_t room = 0;
  for (const auto& endpoint : cluster.endpoints) {
    if (!endpoint->usable()) continue;
    in_flight += endpoint->load.in_flight();
    room += endpoint->limit();
  }
  if (room == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(in_flight) / static_cast<double>(room);
}

const VariantRoute* ChooseVariant(const Snapshot& snapshot, const ModelRoute& asked, const Tenant* tenant) noexcept {
  const VariantRoute* chosen = nullptr;
  std::size_t cluster = asked.cluster;
  for (const VariantRoute& variant : asked.variants) {
    if (tenant != nullptr && !tenant->MayUse(variant.model)) break;
    if (!variant.moved->Update(LoadOf(snapshot.clusters[cluster]))) break;
    cluster = snapshot.models[variant.model].cluster;
    if (std::isinf(LoadOf(snapshot.clusters[cluster]))) break;  // nobody there
    chosen = &variant;
  }
  return chosen;
}

bool IsVariant(const ModelRoute& asked, const Snapshot& snapshot, const ModelRoute& model) noexcept {
  return std::any_of(asked.variants.begin(), asked.variants.end(),
                     [&](const VariantRoute& variant) { return &snapshot.models[variant.model] == &model; });
}

}  // namespace penstock::proxy
