#include "penstock/cache/epochs.hpp"

namespace penstock::cache {

Epochs::Epoch& Epochs::Place(std::string_view name) {
  const auto found = epochs_.find(name);
  return found != epochs_.end() ? found->second : epochs_.try_emplace(std::string(name), 0).first->second;
}

const Epochs::Epoch& Epochs::Of(std::string_view name) {
  const std::lock_guard lock(mutex_);
  return Place(name);
}

bool Epochs::RaiseTo(std::string_view name, std::uint64_t value) {
  {
    const std::lock_guard lock(mutex_);
    if (epochs_.size() >= kNamesMax && !epochs_.contains(name)) return false;
    Epoch& epoch = Place(name);
    if (epoch.load(std::memory_order_relaxed) >= value) return false;
    epoch.store(value, std::memory_order_release);
  }
  if (raised_) raised_(name, value);
  return true;
}

std::uint64_t Epochs::Raise(std::string_view name) {
  const std::lock_guard lock(mutex_);
  return Place(name).fetch_add(1, std::memory_order_release) + 1;
}

std::map<std::string, std::uint64_t> Epochs::Values() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, std::uint64_t> values;
  for (const auto& [name, epoch] : epochs_) values.emplace(name, epoch.load(std::memory_order_relaxed));
  return values;
}

}  // namespace penstock::cache
