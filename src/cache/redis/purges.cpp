#include "penstock/cache/redis_purges.hpp"

#include <algorithm>
#include <utility>

namespace penstock::cache {

void RedisPurges::SetHearing(bool hears) noexcept {
  const std::uint64_t now = hearing_.load(std::memory_order_relaxed);
  if (Hears(now) != hears) hearing_.store(now + 1, std::memory_order_release);
}

void RedisPurges::SetHeard(std::uint64_t score) noexcept {
  std::uint64_t heard = heard_.load(std::memory_order_relaxed);
  while (score > heard && !heard_.compare_exchange_weak(heard, score, std::memory_order_release)) {}
}

RedisPurges::OwedKey::OwedKey(OwedKey&& other) noexcept
    : purges_(std::exchange(other.purges_, nullptr)), digest_(other.digest_), number_(other.number_) {}

RedisPurges::OwedKey::~OwedKey() {
  if (purges_ != nullptr) purges_->EndTelling(digest_, number_, false);
}

void RedisPurges::OwedKey::Settle() { std::exchange(purges_, nullptr)->EndTelling(digest_, number_, true); }

std::optional<RedisPurges::OwedKey> RedisPurges::OweKey(const Digest& digest) {
  {
    const std::lock_guard lock(mutex_);
    if (owed_keys_.size() < kOwedMax || owed_keys_.contains(digest)) {
      owed_keys_[digest] = {++last_number_, true};
      Count();
      return std::optional<OwedKey>(std::in_place, *this, digest, last_number_);
    }
  }
  epochs_.Raise(Epochs::kAll);
  OweEpoch(Epochs::kAll);
  const std::lock_guard lock(mutex_);
  owed_keys_.clear();  // unreachable now, each of them
  Count();
  return std::nullopt;
}

std::optional<RedisPurges::OwedKey> RedisPurges::TakeOwedKey() {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(owed_keys_.begin(), owed_keys_.end(), [](const auto& each) { return !each.second.taken; });
  if (found == owed_keys_.end()) return std::nullopt;
  found->second.taken = true;
  return std::optional<OwedKey>(std::in_place, *this, found->first, found->second.number);
}

bool RedisPurges::OwesKey(const Digest& digest) const {
  if (!owes()) return false;
  const std::lock_guard lock(mutex_);
  return owed_keys_.contains(digest);
}

void RedisPurges::EndTelling(const Digest& digest, std::uint64_t number, bool settled) {
  const std::lock_guard lock(mutex_);
  const auto found = owed_keys_.find(digest);
  if (found == owed_keys_.end() || found->second.number != number) return;  // purged again meanwhile
  if (settled) {
    owed_keys_.erase(found);
  } else {
    found->second.taken = false;
  }
  Count();
}

std::uint64_t RedisPurges::OweEpoch(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = owed_epochs_.find(name);
  if (found != owed_epochs_.end()) return found->second = ++last_number_;
  if (owed_epochs_.size() >= kOwedMax && name != Epochs::kAll) {
    epochs_.Raise(Epochs::kAll);
    owed_epochs_.clear();
    name = Epochs::kAll;
  }
  owed_epochs_[std::string(name)] = ++last_number_;
  Count();
  return last_number_;
}

void RedisPurges::SettleEpoch(std::string_view name, std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = owed_epochs_.find(name);
  if (found == owed_epochs_.end() || found->second != number) return;  // raised again meanwhile
  owed_epochs_.erase(found);
  Count();
}

std::map<std::string, std::uint64_t> RedisPurges::OwedEpochs() const {
  const std::lock_guard lock(mutex_);
  return {owed_epochs_.begin(), owed_epochs_.end()};
}

void RedisPurges::Count() noexcept {
  owed_count_.store(owed_keys_.size() + owed_epochs_.size(), std::memory_order_release);
}

}  // namespace penstock::cache
