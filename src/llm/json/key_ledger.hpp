#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::llm::json {

/// Owned by one Worker. Finds two equal keys in one object, at every depth, in linear time.
///
/// The keys of all open objects lie on one stack; an object's own keys are contiguous because those of its finished
/// children are gone. Up to kDirectMax keys of an object are compared with each other as they come: a set of 64 bits
/// proves most keys new, then 32-bit fingerprints, then bytes. A larger object is checked once, when it closes, by a
/// hash table whose hash is keyed with a secret seed, so that a client cannot choose colliding keys. Keys are
/// compared decoded: "mod\u0065l" is "model".
class KeyLedger {
 public:
  static constexpr std::uint32_t kDirectMax = 16;

  /// An open object: where its keys begin on the stack, and the set of their fingerprints' low six bits.
  struct Scope {
    std::uint32_t begin = 0;
    std::uint64_t seen = 0;
  };

  explicit KeyLedger(std::uint64_t seed) noexcept;

  /// Before a text: `bytes` is what offsets refer to.
  void Reset(const char* bytes, std::uint32_t size) noexcept;
  Scope Open() const noexcept { return {static_cast<std::uint32_t>(keys_.size()), 0}; }

  /// A key of the innermost object; raw = the bytes between its quotes, `escaped` = with a backslash among them.
  /// False: the object has it already.
  bool Add(Scope& scope, std::string_view raw, bool escaped) {
    const Key key = escaped ? Decode(raw) : Plain(raw);
    const std::uint64_t bit = std::uint64_t{1} << (key.fingerprint & 63);
    if ((scope.seen & bit) != 0 && Repeats(scope, key)) return false;
    scope.seen |= bit;
    keys_.push_back(key);
    return true;
  }
  /// The innermost object closes: the offset of a repeated key's opening quote, if its keys were too many for Add.
  std::optional<std::uint32_t> Close(const Scope& scope) {
    if (keys_.size() - scope.begin > kDirectMax) return CloseLarge(scope);
    keys_.resize(scope.begin);
    return std::nullopt;
  }

  /// Gives memory back after an unusually large text.
  void Trim();

 private:
  struct Key {
    std::uint32_t offset = 0;  ///< of the raw key in the text
    std::uint32_t where = 0;   ///< of the decoded key, in the text or (size's top bit) in decoded_
    std::uint32_t size = 0;
    std::uint32_t fingerprint = 0;
  };
  static constexpr std::uint32_t kDecoded = std::uint32_t{1} << 31;

  /// Both halves of the 128-bit product, folded: every input bit reaches every output bit.
  static std::uint64_t Mix(std::uint64_t a, std::uint64_t b) noexcept {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  std::uint32_t Fingerprint(std::uint64_t first8, std::size_t size) const noexcept {
    return static_cast<std::uint32_t>(Mix(first8 ^ secret_[0], secret_[1] ^ size));
  }
  Key Plain(std::string_view raw) const noexcept {
    const auto where = static_cast<std::uint32_t>(raw.data() - bytes_);
    std::uint64_t first8 = 0;
    if (size_ - where >= 8) {
      std::memcpy(&first8, raw.data(), 8);
      if (raw.size() < 8) first8 &= (std::uint64_t{1} << (8 * raw.size())) - 1;
    } else {
      std::memcpy(&first8, raw.data(), raw.size());
    }
    return {where, where, static_cast<std::uint32_t>(raw.size()), Fingerprint(first8, raw.size())};
  }
  Key Decode(std::string_view raw);
  bool Repeats(const Scope& scope, const Key& key) const noexcept;
  std::optional<std::uint32_t> CloseLarge(const Scope& scope);
  std::optional<std::uint32_t> FindRepeated(const Scope& scope);
  std::string_view Text(const Key& key) const noexcept;
  std::uint64_t KeyedHash(std::string_view key) const noexcept;

  const char* bytes_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint64_t secret_[2];
  std::vector<Key> keys_;
  std::vector<std::uint32_t> table_;
  std::string decoded_;
};

}  // namespace penstock::llm::json
