#include "sim/prefix_cache.hpp"

#include "sim/token_text.hpp"

namespace penstock::sim {

std::uint32_t PrefixCache::Visit(std::string_view prompt, std::uint64_t model) {
  constexpr std::size_t kBlockBytes = kTokenBytes * kBlockTokens;
  const std::lock_guard lock(mutex_);
  std::uint32_t cached = 0;
  bool prefix = true;
  std::uint64_t hash = model;
  for (std::size_t at = 0; at + kBlockBytes <= prompt.size(); at += kBlockBytes) {
    hash = HashBytes(prompt.substr(at, kBlockBytes), hash);
    const auto known = blocks_.find(hash);
    if (known != blocks_.end()) {
      recent_.splice(recent_.begin(), recent_, known->second);
      if (prefix) cached += static_cast<std::uint32_t>(kBlockTokens);
      continue;
    }
    prefix = false;
    recent_.push_front(hash);
    blocks_.emplace(hash, recent_.begin());
    if (blocks_.size() > blocks_max_) {
      blocks_.erase(recent_.back());
      recent_.pop_back();
    }
  }
  queries_ += prompt.size() / kTokenBytes;
  hits_ += cached;
  return cached;
}

void PrefixCache::Clear() {
  const std::lock_guard lock(mutex_);
  blocks_.clear();
  recent_.clear();
  queries_ = hits_ = 0;
}

std::size_t PrefixCache::size() {
  const std::lock_guard lock(mutex_);
  return blocks_.size();
}

std::uint64_t PrefixCache::queries() noexcept {
  const std::lock_guard lock(mutex_);
  return queries_;
}

std::uint64_t PrefixCache::hits() noexcept {
  const std::lock_guard lock(mutex_);
  return hits_;
}

}  // namespace penstock::sim
