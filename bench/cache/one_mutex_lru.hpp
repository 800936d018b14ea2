#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "penstock/cache/entry.hpp"

namespace penstock::cache {

/// Shared: one mutex. What one writes first: a list and a hash table, least recently used. The yardstick.
class OneMutexLru {
 public:
  explicit OneMutexLru(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}

  std::optional<Entry> Find(const Digest& digest, WallTime now) {
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(digest);
    if (found == index_.end() || !found->second->second.fresh(now)) return std::nullopt;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
  }
  bool Insert(const Digest& digest, Entry entry, WallTime) {
    const std::lock_guard lock(mutex_);
    if (const auto found = index_.find(digest); found != index_.end()) Drop(found->second);
    held_ += kNode + entry.bytes.size();
    order_.emplace_front(digest, std::move(entry));
    index_[digest] = order_.begin();
    while (held_ > size_bytes_) Drop(std::prev(order_.end()));
    return true;
  }

 private:
  static constexpr std::uint64_t kNode = 200;
  using Order = std::list<std::pair<Digest, Entry>>;
  struct Hash {
    std::size_t operator()(const Digest& digest) const noexcept { return digest.word(0); }
  };
  void Drop(Order::iterator it) {
    held_ -= kNode + it->second.bytes.size();
    index_.erase(it->first);
    order_.erase(it);
  }

  std::mutex mutex_;
  const std::uint64_t size_bytes_;
  std::uint64_t held_ = 0;
  Order order_;
  std::unordered_map<Digest, Order::iterator, Hash> index_;
};

}  // namespace penstock::cache
