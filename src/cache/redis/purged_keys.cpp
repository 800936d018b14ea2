#include "penstock/cache/purged_keys.hpp"

namespace penstock::cache {

void PurgedKeys::Note(const Digest& key, std::uint64_t score) {
  const std::lock_guard lock(mutex_);
  const auto [known, first] = places_.try_emplace(key, by_score_.end());
  if (!first) {
    if (score <= known->second->first) return;
    by_score_.erase(known->second);
  }
  known->second = by_score_.emplace(score, key);
  if (by_score_.size() > kMax) {
    places_.erase(by_score_.begin()->second);
    by_score_.erase(by_score_.begin());
  }
  newest_.store(by_score_.rbegin()->first, std::memory_order_release);
}

bool PurgedKeys::Outdates(const Digest& key, std::uint64_t heard) const {
  if (heard >= newest_.load(std::memory_order_acquire)) return false;
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(key);
  if (found != places_.end()) return heard < found->second->first;
  return by_score_.size() == kMax && heard < by_score_.begin()->first;
}

}  // namespace penstock::cache
