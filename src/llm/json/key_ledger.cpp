#include "llm/json/key_ledger.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "llm/json/string.hpp"
#include "penstock/base/prng.hpp"

namespace penstock::llm::json {
namespace {

constexpr std::size_t kRetainedKeys = 4096;

std::uint64_t LoadUpTo8(const char* p, std::size_t n) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, p, n);
  return word;
}

}  // namespace

KeyLedger::KeyLedger(std::uint64_t seed) noexcept {
  Prng prng(seed);
  for (auto& word : secret_) word = prng.Next() | 1;
}

void KeyLedger::Reset(const char* bytes, std::uint32_t size) noexcept {
  bytes_ = bytes;
  size_ = size;
  keys_.clear();
  decoded_.clear();
}

std::string_view KeyLedger::Text(const Key& key) const noexcept {
  const char* const from = (key.size & kDecoded) != 0 ? decoded_.data() : bytes_;
  return {from + key.where, key.size & ~kDecoded};
}

std::uint64_t KeyLedger::KeyedHash(std::string_view key) const noexcept {
  std::uint64_t hash = secret_[0] ^ key.size();
  while (key.size() > 8) {
    hash = Mix(hash ^ LoadUpTo8(key.data(), 8), secret_[1]);
    key.remove_prefix(8);
  }
  return Mix(hash ^ LoadUpTo8(key.data(), key.size()), secret_[1] ^ secret_[0]);
}

KeyLedger::Key KeyLedger::Decode(std::string_view raw) {
  const std::size_t where = decoded_.size();
  decoded_.resize(where + raw.size());
  const std::size_t n = Unescape(raw, std::span(decoded_).subspan(where));
  decoded_.resize(where + n);
  const std::uint64_t first8 = LoadUpTo8(decoded_.data() + where, std::min<std::size_t>(8, n));
  return {static_cast<std::uint32_t>(raw.data() - bytes_), static_cast<std::uint32_t>(where),
          static_cast<std::uint32_t>(n) | kDecoded, Fingerprint(first8, n)};
}

bool KeyLedger::Repeats(const Scope& scope, const Key& key) const noexcept {
  if (keys_.size() - scope.begin >= kDirectMax) return false;  // Close will tell
  const std::string_view text = Text(key);
  for (std::size_t i = scope.begin; i < keys_.size(); ++i) {
    if (keys_[i].fingerprint == key.fingerprint && Text(keys_[i]) == text) return true;
  }
  return false;
}

std::optional<std::uint32_t> KeyLedger::CloseLarge(const Scope& scope) {
  const std::optional<std::uint32_t> repeated = FindRepeated(scope);
  keys_.resize(scope.begin);
  return repeated;
}

std::optional<std::uint32_t> KeyLedger::FindRepeated(const Scope& scope) {
  const std::size_t count = keys_.size() - scope.begin;
  const std::size_t slots = std::bit_ceil(2 * count);
  table_.assign(slots, 0);
  for (std::size_t i = scope.begin; i < keys_.size(); ++i) {
    const std::string_view text = Text(keys_[i]);
    const std::uint64_t hash = KeyedHash(text);
    keys_[i].fingerprint = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t slot = hash & (slots - 1);; slot = (slot + 1) & (slots - 1)) {
      if (table_[slot] == 0) {
        table_[slot] = static_cast<std::uint32_t>(i) + 1;
        break;
      }
      const Key& other = keys_[table_[slot] - 1];
      if (other.fingerprint == keys_[i].fingerprint && Text(other) == text) return keys_[i].offset - 1;
    }
  }
  return std::nullopt;
}

void KeyLedger::Trim() {
  if (keys_.capacity() > kRetainedKeys) std::vector<Key>().swap(keys_);
  if (table_.capacity() > 4 * kRetainedKeys) std::vector<std::uint32_t>().swap(table_);
  if (decoded_.capacity() > 16 * kRetainedKeys) std::string().swap(decoded_);
}

}  // namespace penstock::llm::json
