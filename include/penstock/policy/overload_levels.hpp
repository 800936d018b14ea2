#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

/// When a gateway is overloaded, and what it does about it. The model is Envoy's overload manager: monitors turn
/// resources into pressures, thresholds turn pressures into actions. Ours has fixed actions per resource and level, and
/// hysteresis.
namespace penstock::policy {

enum class Resource : std::uint8_t { kMemory, kCpu, kLoopLag, kFds };
inline constexpr std::size_t kResources = 4;
inline constexpr std::array<std::string_view, kResources> kResourceNames = {"memory", "cpu", "loop_lag", "fds"};

enum class OverloadLevel : std::uint8_t { kCalm, kWarning, kCritical, kExtreme };
inline constexpr std::size_t kOverloadThresholds = 3;  ///< the levels above kCalm

enum class OverloadAction : std::uint8_t {
  kShrinkCaches,
  kDisableKeepalive,  ///< HTTP/1.1 connections close after the answer under way
  kShedBatch,         ///< requests that say that they can wait are refused
  kShedRequests,      ///< every new request is refused
  kStopAccepting,
  kResetStreams,  ///< the largest exchange of each worker ends, one per sample
};
inline constexpr std::size_t kOverloadActions = 6;
inline constexpr std::array<std::string_view, kOverloadActions> kOverloadActionNames = {
    "shrink_caches", "disable_keepalive", "shed_batch", "shed_requests", "stop_accepting", "reset_streams"};

/// Immutable. A set of actions: one word, so that workers are told of it in one.
class OverloadActions {
 public:
  constexpr OverloadActions() = default;
  constexpr OverloadActions(std::initializer_list<OverloadAction> actions) noexcept {
    for (const OverloadAction action : actions) bits_ |= Bit(action);
  }
  constexpr bool Has(OverloadAction action) const noexcept { return (bits_ & Bit(action)) != 0; }
  constexpr bool none() const noexcept { return bits_ == 0; }
  constexpr OverloadActions operator|(OverloadActions other) const noexcept {
    OverloadActions both;
    both.bits_ = static_cast<std::uint8_t>(bits_ | other.bits_);
    return both;
  }
  friend constexpr bool operator==(OverloadActions, OverloadActions) = default;

 private:
  static constexpr std::uint8_t Bit(OverloadAction action) noexcept {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(action));
  }
  std::uint8_t bits_ = 0;
};

/// What a resource at a level asks for; what a level asks for, those above it ask for too. Only memory ends what runs:
/// work that is finished gives back time, but only work that is given up gives back memory.
OverloadActions ActionsOf(Resource resource, OverloadLevel level) noexcept;

/// When one resource is at which level.
struct ResourceRules {
  std::array<double, kOverloadThresholds> at{};  ///< pressures, ascending; 0 = never
  std::uint32_t rise_after = 1;                  ///< samples in a row at or above a threshold
  std::uint32_t fall_after = 1;                  ///< samples in a row below kRelease of it
};

/// Owned by one Worker. The thread that samples. One resource's level: each threshold holds by itself, and lets go only
/// when the pressure has been clearly lower for a while, so that a pressure around it does not switch at every sample.
class ResourceLevel {
 public:
  static constexpr double kRelease = 0.95;  ///< of a threshold

  /// The thresholds that hold stay held as far as they are still there.
  void SetRules(const ResourceRules& rules) noexcept { rules_ = rules; }
  /// A sample; none: it could not be taken, or says nothing, and changes nothing.
  void Update(std::optional<double> pressure) noexcept;
  OverloadLevel level() const noexcept;

 private:
  struct Switch {
    bool on = false;
    std::uint32_t in_a_row = 0;  ///< samples that speak for a change
  };
  ResourceRules rules_;
  std::array<Switch, kOverloadThresholds> switches_;
};

/// Owned by one Worker. The thread that samples.
class OverloadLevels {
 public:
  using Rules = std::array<ResourceRules, kResources>;
  using Sample = std::array<std::optional<double>, kResources>;

  void SetRules(const Rules& rules) noexcept;
  void Update(const Sample& sample) noexcept;
  OverloadLevel level(Resource resource) const noexcept { return levels_[static_cast<std::size_t>(resource)].level(); }
  /// What all resources together ask for.
  OverloadActions actions() const noexcept;

 private:
  std::array<ResourceLevel, kResources> levels_;
};

}  // namespace penstock::policy
