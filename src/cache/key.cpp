#include "penstock/cache/key.hpp"

#include <array>
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

/// Owned by one call. Hands the digest whole runs instead of the few bytes that a field or a token has: each call of
/// SHA256_Update costs as much as a block of it.
class Gathered {
 public:
  explicit Gathered(Sha256& sha) noexcept : sha_(sha) {}

  void Add(std::string_view bytes) noexcept {
    if (bytes.size() > place_.size() - size_) {
      Flush();
      if (bytes.size() > place_.size()) {
        sha_.Add(bytes);
        return;
      }
    }
    std::memcpy(place_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void AddText(std::string_view text) noexcept {
    Add(BytesOf(static_cast<std::uint64_t>(text.size())));
    Add(text);
  }
  void Flush() noexcept {
    sha_.Add({place_.data(), size_});
    size_ = 0;
  }

 private:
  Sha256& sha_;
  std::size_t size_ = 0;
  std::array<char, 512> place_;  // uninitialised on purpose
};

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
  Gathered gathered(tenant_);
  gathered.Add(BytesOf(kKeySchema));
  gathered.Add(tenant.field_);
  gathered.Add(BytesOf(all_epoch));
  gathered.Add(BytesOf(tenant_epoch));
  gathered.Flush();
}

std::optional<CacheKey> KeyBuilder::Build(const ModelIdentity& model, std::uint64_t model_epoch,
                                          const llm::RequestView& request, std::span<const KeyHeader> headers,
                                          llm::JsonParser& parser) const noexcept {
  Sha256 sha = tenant_;
  Gathered gathered(sha);
  gathered.Add(model.fields_);
  gathered.Add(BytesOf(model_epoch));
  gathered.Add(BytesOf(static_cast<std::uint8_t>(request.family)));
  gathered.Add(BytesOf(static_cast<std::uint64_t>(headers.size())));
  for (const KeyHeader& header : headers) {
    gathered.AddText(header.name);
    gathered.AddText(header.value);
  }
  if (!llm::WriteCanonicalBody(request, parser, [&gathered](std::string_view bytes) { gathered.Add(bytes); })) {
    return std::nullopt;
  }
  gathered.Flush();
  return CacheKey{sha.Finish(), {.tenant = tenant_id_, .model = model.id()}};
}

}  // namespace penstock::cache
