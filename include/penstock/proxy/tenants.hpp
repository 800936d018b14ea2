#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "penstock/base/digest.hpp"
#include "penstock/cache/epochs.hpp"
#include "penstock/cache/key.hpp"
#include "penstock/config/auth.hpp"
#include "penstock/config/cache.hpp"
#include "penstock/policy/admission_queue.hpp"
#include "penstock/telemetry/metric_registry.hpp"

namespace penstock::proxy {

/// Immutable. Who may ask, and for what: one entry of `auth.keys`, or nobody in particular.
struct Tenant {
  std::string name;  ///< empty: anonymous
  bool every_model = true;
  std::vector<bool> models{};     ///< by index in Snapshot::models; unless every_model
  telemetry::LabelLease label{};  ///< its name, or `anonymous`
  cache::TenantScope scope;       ///< whose cached answers it shares
  const cache::Epochs::Epoch* epoch;
  policy::Priority priority = policy::Priority::kInteractive;  ///< the highest that it may ask for

  bool MayUse(std::size_t model) const noexcept { return every_model || models[model]; }
};

/// Immutable. The tenants of a snapshot, by the digest of their keys: the keys themselves are not known here, so
/// nothing about one can be learnt from how long a look-up takes.
class Tenants {
 public:
  /// `model_names`: of Snapshot::models, in its order.
  Tenants(const config::Auth& auth, config::CachePartition partition, const std::vector<std::string_view>& model_names,
          telemetry::MetricRegistry& registry, cache::Epochs& epochs);

  /// No key is configured: what a client sends as one is of no interest.
  bool open() const noexcept { return by_digest_.empty(); }
  /// Who asks without a key; null: nobody may.
  const Tenant* anonymous() const noexcept { return anonymous_allowed_ ? &anonymous_ : nullptr; }
  /// `name` is that of a key, or `anonymous`.
  bool Knows(std::string_view name) const noexcept;
  const Tenant* Find(const Digest& digest) const noexcept;

 private:
  struct DigestHash {
    std::size_t operator()(const Digest& digest) const noexcept { return digest.word(0); }
  };
  Tenant anonymous_;
  bool anonymous_allowed_;
  std::unordered_map<Digest, Tenant, DigestHash> by_digest_;
};

}  // namespace penstock::proxy
