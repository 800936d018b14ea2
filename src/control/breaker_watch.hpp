#pragma once

#include <string>
#include <unordered_map>

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
    std::uint64_t generation = 0;  ///< of the snapshot that had it last
  };
  void Note(const proxy::ModelRoute& model, const upstream::Endpoint& endpoint, const policy::CircuitBreaker& breaker,
            TimePoint now, WallTime wall, Seen& seen);

  telemetry::Slab& slab_;
  telemetry::Logger& log_;
  std::unordered_map<const policy::CircuitBreaker*, Seen> seen_;
};

}  // namespace penstock::control
