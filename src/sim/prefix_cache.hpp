#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace penstock::sim {

/// Shared: one mutex around a few look-ups. Which prompt prefixes were seen, as vLLM's prefix cache sees them: full
/// blocks of 16 tokens (of 4 bytes here), each known by a hash chained over all before it, least recently used ones
/// dropped.
class PrefixCache {
 public:
  static constexpr std::size_t kTokenBytes = 4;
  static constexpr std::size_t kBlockTokens = 16;

  explicit PrefixCache(std::size_t blocks_max) : blocks_max_(blocks_max) {}

  /// Tokens of `prompt` that were seen before, counted from its beginning; remembers all of it.
  std::uint32_t Visit(std::string_view prompt, std::uint64_t model);
  void Clear();
  std::size_t size();
  std::uint64_t queries() noexcept;  ///< tokens asked for so far
  std::uint64_t hits() noexcept;     ///< tokens found so far

 private:
  std::mutex mutex_;
  std::size_t blocks_max_;
  std::list<std::uint64_t> recent_;  ///< most recent first
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> blocks_;
  std::uint64_t queries_ = 0;
  std::uint64_t hits_ = 0;
};

}  // namespace penstock::sim
