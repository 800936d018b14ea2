#pragma once

#include <cstdint>
#include <optional>

#include "penstock/base/time.hpp"

namespace penstock::config {

/// Shares of the limit; 0: never.
struct MemoryOverload {
  std::optional<std::uint64_t> limit;  ///< bytes; nullopt (`auto`): the control group's, or what the machine has
  double warning = 0.80;
  double critical = 0.90;
  double reset = 0.95;
};

/// Shares of what can be had; 0: never.
struct ShareOverload {
  double warning = 0;
  double critical = 0;
};

/// How long something waits in an event loop until its turn comes; 0: never.
struct LagOverload {
  Duration warning = std::chrono::milliseconds(100);
  Duration critical = std::chrono::milliseconds(500);
};

/// A worker that does not come back from one thing; 0: never.
struct Watchdog {
  Duration stall = std::chrono::seconds(1);
  Duration abort = std::chrono::seconds(10);
};

/// When the gateway protects itself, and how little it waits for. What it does then: docs/resilience.md.
struct Overload {
  bool enabled = true;
  MemoryOverload memory;
  ShareOverload cpu{.warning = 0.95, .critical = 0};
  LagOverload loop_lag;
  ShareOverload fds{.warning = 0.90, .critical = 0.95};
  Watchdog watchdog;
};

}  // namespace penstock::config
