#include "penstock/proxy/tenants.hpp"

#include <algorithm>

namespace penstock::proxy {

Tenants::Tenants(const config::Auth& auth, const std::vector<std::string_view>& model_names,
                 telemetry::MetricRegistry& registry)
    : anonymous_allowed_(auth.keys.empty() || auth.allow_anonymous) {
  anonymous_.label = registry.Hold("anonymous");
  for (const config::ApiKey& key : auth.keys) {
    Tenant tenant;
    tenant.name = key.name;
    tenant.every_model = std::find(key.models.begin(), key.models.end(), "*") != key.models.end();
    for (const std::string_view model : model_names)
      tenant.models.push_back(std::find(key.models.begin(), key.models.end(), model) != key.models.end());
    tenant.label = registry.Hold(key.name);
    by_digest_.emplace(key.key_sha256, std::move(tenant));
  }
}

const Tenant* Tenants::Find(const Digest& digest) const noexcept {
  const auto found = by_digest_.find(digest);
  return found == by_digest_.end() ? nullptr : &found->second;
}

}  // namespace penstock::proxy
