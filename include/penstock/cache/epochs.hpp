#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace penstock::cache {

/// Shared: atomics that requests read, and a mutex around the table of names, which purges and snapshots take. How
/// often the answers of everybody, of a tenant and of a model were purged. The counts are part of every key, so raising
/// one makes what is stored under the former unreachable at once, in every tier.
///
/// Epochs only rise. A name that was never raised stands at 0; one that was asked for is never forgotten, so that what
/// Of() returned is good for the life of the process.
class Epochs {
 public:
  using Epoch = std::atomic<std::uint64_t>;

  /// Names that only RaiseTo() brings: beyond so many, new ones are not kept. Redis may name what is configured nowhere.
  static constexpr std::size_t kNamesMax = 65536;

  static constexpr std::string_view kAll = "all";
  static std::string NameOfTenant(std::string_view tenant) { return "tenant:" + std::string(tenant); }
  static std::string NameOfModel(std::string_view model) { return "model:" + std::string(model); }

  Epochs() : all_(Of(kAll)) {}
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  const Epoch& all() const noexcept { return all_; }
  /// To be kept by snapshots: no name is looked up for a request.
  const Epoch& Of(std::string_view name);
  /// The epoch is at least `value` from now on (but see kNamesMax). True when that raised it.
  bool RaiseTo(std::string_view name, std::uint64_t value);
  /// One more than ever before; returns the new epoch.
  std::uint64_t Raise(std::string_view name);
  std::map<std::string, std::uint64_t> Values() const;
  /// `raised` hears what RaiseTo() raised, on the thread that did. Once, before anybody raises.
  void WhenRaised(std::function<void(std::string_view name, std::uint64_t value)> raised) {
    raised_ = std::move(raised);
  }

 private:
  Epoch& Place(std::string_view name);  // the mutex is held

  mutable std::mutex mutex_;
  std::map<std::string, Epoch, std::less<>> epochs_;  // nodes: an epoch's address never changes
  const Epoch& all_;
  std::function<void(std::string_view, std::uint64_t)> raised_;
};

}  // namespace penstock::cache
