#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "penstock/base/digest.hpp"
#include "penstock/cache/entry.hpp"
#include "penstock/llm/json_parser.hpp"
#include "penstock/llm/request_view.hpp"

namespace penstock::cache {

/// Raised by whoever changes what a key is made of or what an entry holds; entries of other schemas are never found.
inline constexpr std::uint32_t kKeySchema = 1;

/// Immutable. Whose answers they are. It cannot be made without saying so, and a key cannot be made without one. Made
/// once per snapshot: what the digest reads is laid out here.
class TenantScope {
 public:
  /// `cache.partition: key`: the answers of the API key of that configured name.
  static TenantScope OfKey(std::string_view name) { return {'k', name}; }
  /// `cache.partition: key`, and the client gave no API key.
  static TenantScope Anonymous() { return {'a', {}}; }
  /// `cache.partition: none`: everybody's.
  static TenantScope Everybody() { return {'e', {}}; }

  std::uint64_t id() const noexcept { return id_; }

 private:
  friend class KeyBuilder;
  TenantScope(char kind, std::string_view name);

  std::string field_;  ///< as it is hashed
  std::uint64_t id_;
};

/// Immutable. The model that answers, which may be another than the one asked for. Made once per snapshot.
class ModelIdentity {
 public:
  /// `upstream_name`: what the backends call it; `revision`: the operator's word for its weights.
  ModelIdentity(std::string_view name, std::string_view upstream_name, std::string_view revision);

  std::uint64_t id() const noexcept { return id_; }  ///< of the name alone: a purge by name means every revision

 private:
  friend class KeyBuilder;
  std::string fields_;  ///< as they are hashed
  std::uint64_t id_;
};

/// A request header that changes what the upstream answers (`anthropic-beta`, one of `forward_headers`). Its name is
/// in lower case; the caller gives them in one order always.
struct KeyHeader {
  std::string_view name;
  std::string_view value;
};

/// The digest is the key; the scope, which it contains, is for shares and purges.
struct CacheKey {
  Digest digest;
  Scope scope;

  friend bool operator==(const CacheKey&, const CacheKey&) = default;
};

/// Owned by one Worker. Lives for a request, which may need keys of several models. SHA-256 over, in this order: the
/// schema, the tenant's scope, everybody's epoch and the tenant's, the model's name, its upstream name and its
/// revision, the model's epoch, the endpoint's family, the headers, and the body's canonical form
/// (llm/canonical_json.hpp). Numbers have a fixed size, texts their length before them, the headers their count, and
/// the body is the rest: no two lists of fields make the same bytes. Nothing is allocated once the parser is warm.
class KeyBuilder {
 public:
  KeyBuilder(const TenantScope& tenant, std::uint64_t all_epoch, std::uint64_t tenant_epoch) noexcept;

  /// `request` as its ParseRequest or ViewRequest returned it; fastest while it is the last text that `parser` read.
  /// Nothing: no memory to index a body beyond 1 MiB; that request goes by the cache.
  std::optional<CacheKey> Build(const ModelIdentity& model, std::uint64_t model_epoch, const llm::RequestView& request,
                                std::span<const KeyHeader> headers, llm::JsonParser& parser) const noexcept;

 private:
  Sha256 tenant_;  ///< has read everything up to the model
  std::uint64_t tenant_id_;
};

}  // namespace penstock::cache
