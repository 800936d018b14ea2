#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>

#include "penstock/base/digest.hpp"

namespace penstock::cache {

/// Shared: one mutex, behind an atomic that most look-ups only read. Which keys were purged alone, and when: by the
/// scores that Redis gave, which rise with every such purge. Deleting an entry is not enough, because a SET that was
/// sent before may reach Redis at any time after. So an entry says of which purge its maker had heard last when its
/// answer began (Entry::purges_heard), and one that may be older than the purge of its key is not served.
class PurgedKeys {
 public:
  /// The newest so many keys. With more, what may be older than the oldest of them counts as purged.
  static constexpr std::size_t kMax = 10'000;

  void Note(const Digest& key, std::uint64_t score);
  /// An entry under `key`, made by who had heard of the purges up to `heard`, may be older than a purge of that key.
  bool Outdates(const Digest& key, std::uint64_t heard) const;

 private:
  struct HashOfDigest {
    std::size_t operator()(const Digest& digest) const noexcept { return digest.word(0); }
  };

  using ByScore = std::multimap<std::uint64_t, Digest>;  // Redis gives no score twice, who writes there by hand may

  std::atomic<std::uint64_t> newest_{0};
  mutable std::mutex mutex_;
  ByScore by_score_;
  std::unordered_map<Digest, ByScore::iterator, HashOfDigest> places_;
};

}  // namespace penstock::cache
