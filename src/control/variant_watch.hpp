#pragma once

#include <unordered_map>

#include "penstock/proxy/snapshot.hpp"
#include "penstock/telemetry/log.hpp"

namespace penstock::control {

/// Owned by one Worker. On the control thread. Requests throw the switches of variants; this one throws them too, so
/// that they go back when nobody asks any more, and writes about it.
class VariantWatch {
 public:
  explicit VariantWatch(telemetry::Logger& log) : log_(log) {}

  /// A line for each switch that was thrown since the last look.
  void Look(const proxy::Snapshot& snapshot, WallTime wall);

 private:
  struct Seen {
    bool moved = false;
    std::uint64_t times = 0;
    std::uint64_t generation = 0;  ///< of the snapshot that had it last
  };
  telemetry::Logger& log_;
  std::unordered_map<const policy::LoadSwitch*, Seen> seen_;
};

}  // namespace penstock::control
