#include "penstock/proxy/tenants.hpp"

#include <algorithm>

namespace penstock::proxy {
namespace {

static_assert(static_cast<int>(config::Priority::kBatch) == static_cast<int>(policy::Priority::kBatch));

/// Whose cached answers a client shares: `name` empty = it gave no key.
Tenant TenantOf(std::string_view name, config::CachePartition partition, cache::Epochs& epochs) {
  Tenant tenant{.name = std::string(name), .scope = cache::TenantScope::Everybody(), .epoch = &epochs.all()};
  if (partition == config::CachePartition::kNone) return tenant;
  tenant.scope = name.empty() ? cache::TenantScope::Anonymous() : cache::TenantScope::OfKey(name);
  tenant.epoch = &epochs.Of(cache::Epochs::NameOfTenant(name.empty() ? config::kAnonymous : name));
  return tenant;
}

}  // namespace

Tenants::Tenants(const config::Auth& auth, config::CachePartition partition,
                 const std::vector<std::string_view>& model_names, telemetry::MetricRegistry& registry,
                 cache::Epochs& epochs)
    : anonymous_(TenantOf({}, partition, epochs)), anonymous_allowed_(auth.keys.empty() || auth.allow_anonymous) {
  anonymous_.label = registry.Hold(config::kAnonymous);
  for (const config::ApiKey& key : auth.keys) {
    Tenant tenant = TenantOf(key.name, partition, epochs);
    tenant.every_model = std::find(key.models.begin(), key.models.end(), "*") != key.models.end();
    for (const std::string_view model : model_names)
      tenant.models.push_back(std::find(key.models.begin(), key.models.end(), model) != key.models.end());
    tenant.label = registry.Hold(key.name);
    tenant.priority = static_cast<policy::Priority>(key.priority);
    by_digest_.emplace(key.key_sha256, std::move(tenant));
  }
}

bool Tenants::Knows(std::string_view name) const noexcept {
  return name == config::kAnonymous || std::any_of(by_digest_.begin(), by_digest_.end(),
                                                   [name](const auto& each) { return each.second.name == name; });
}

const Tenant* Tenants::Find(const Digest& digest) const noexcept {
  const auto found = by_digest_.find(digest);
  return found == by_digest_.end() ? nullptr : &found->second;
}

}  // namespace penstock::proxy
