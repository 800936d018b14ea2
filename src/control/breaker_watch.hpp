#pragma once

#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "penstock/proxy/snapshot.hpp"
#include "penstock/telemetry/log.hpp"
#include "penstock/telemetry/metric_slab.hpp"

namespace penstock::control {

/// Owned by one Worker. On the control thread. Breakers change on the workers' threads, which do not write about it:
/// this one looks at them and does.
class BreakerWatch {
 public:
  BreakerWatch(telemetry::Slab& slab, telemetry::Logger& log) : slab_(slab), log_(log) {}

  /// Brings `penstock_breaker_state` to date and writes a line for each breaker that has changed since the last look.
  void Look(const proxy::Snapshot& snapshot, TimePoint now, WallTime wall);
  /// An active check has ended: the breakers of all models at that endpoint hear of it.
  static void OnChecked(const proxy::Snapshot& snapshot, const upstream::Endpoint& endpoint,
                        std::uint32_t good_in_a_row);

 private:
  struct Seen {
    policy::BreakerState state = policy::BreakerState::kClosed;
    std::uint64_t opened = 0;
  };
  /// One model's. While all its breakers are closed and none has opened since the last look, they are not walked.
  struct Watched {
    std::shared_ptr<const proxy::Breakers> held;  ///< so that its address is nobody else's
    std::uint64_t generation = 0;                 ///< of the snapshot that had it last
    std::uint64_t ejections = 0;
    bool open = false;
    std::vector<Seen> endpoints;
  };
  using WorstStates = std::unordered_map<std::string_view, policy::BreakerState>;

  void LookAt(const proxy::ModelRoute& model, const proxy::ClusterRoute& cluster, TimePoint now, WallTime wall,
              WorstStates& worst);
  void Note(const proxy::ModelRoute& model, const upstream::Endpoint& endpoint, const policy::CircuitBreaker& breaker,
            TimePoint now, WallTime wall, Seen& seen);

  telemetry::Slab& slab_;
  telemetry::Logger& log_;
  std::unordered_map<const proxy::Breakers*, Watched> watched_;
};

}  // namespace penstock::control
