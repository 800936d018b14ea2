#include "penstock/cache/key.hpp"

#include <bit>
#include <cstring>

#include "penstock/llm/canonical_json.hpp"

namespace penstock::cache {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are hashed as they lie in memory");
// Digests outlive this program: a family's number is part of the schema.
static_assert(static_cast<int>(llm::Family::kChat) == 0 && static_cast<int>(llm::Family::kCompletions) == 1 &&
              static_cast<int>(llm::Family::kEmbeddings) == 2 && static_cast<int>(llm::Family::kResponses) == 3 &&
              static_cast<int>(llm::Family::kMessages) == 4 && static_cast<int>(llm::Family::kCountTokens) == 5 &&
              static_cast<int>(llm::Family::kRerank) == 6 && static_cast<int>(llm::Family::kScore) == 7 &&
              static_cast<int>(llm::Family::kTokenize) == 8 && static_cast<int>(llm::Family::kDetokenize) == 9);

template <class Number>
std::string_view BytesOf(const Number& number) noexcept {
  static_assert(std::is_integral_v<Number>);
  return {reinterpret_cast<const char*>(&number), sizeof number};
}

void AppendText(std::string& out, std::string_view text) {
  out += BytesOf(static_cast<std::uint64_t>(text.size()));
  out += text;
}

void AddText(Sha256& sha, std::string_view text) noexcept {
  sha.Add(BytesOf(static_cast<std::uint64_t>(text.size())));
  sha.Add(text);
}

}  // namespace

TenantScope::TenantScope(char kind, std::string_view name) {
  std::string scope(1, kind);
  scope += name;
  AppendText(field_, scope);
  id_ = Sha256::Of(scope).word(0);
}

ModelIdentity::ModelIdentity(std::string_view name, std::string_view upstream_name, std::string_view revision)
    : id_(Sha256::Of(name).word(0)) {
  AppendText(fields_, name);
  AppendText(fields_, upstream_name);
  AppendText(fields_, revision);
}

KeyBuilder::KeyBuilder(const TenantScope& tenant, std::uint64_t all_epoch, std::uint64_t tenant_epoch) noexcept
    : tenant_id_(tenant.id()) {
  tenant_.Add(BytesOf(kKeySchema));
  tenant_.Add(tenant.field_);
  tenant_.Add(BytesOf(all_epoch));
  tenant_.Add(BytesOf(tenant_epoch));
}

std::optional<CacheKey> KeyBuilder::Build(const ModelIdentity& model, std::uint64_t model_epoch,
                                          const llm::RequestView& request, std::span<const KeyHeader> headers,
                                          llm::JsonParser& parser) const noexcept {
  Sha256 sha = tenant_;
  sha.Add(model.fields_);
  sha.Add(BytesOf(model_epoch));
  sha.Add(BytesOf(static_cast<std::uint8_t>(request.family)));
  sha.Add(BytesOf(static_cast<std::uint64_t>(headers.size())));
  for (const KeyHeader& header : headers) {
    AddText(sha, header.name);
    AddText(sha, header.value);
  }
  if (!llm::WriteCanonicalBody(request, parser, [&sha](std::string_view bytes) { sha.Add(bytes); })) {
    return std::nullopt;
  }
  return CacheKey{sha.Finish(), {.tenant = tenant_id_, .model = model.id()}};
}

}  // namespace penstock::cache
