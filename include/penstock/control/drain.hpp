#pragma once

#include <cstdint>
#include <functional>

#include "penstock/config/server.hpp"
#include "penstock/control/workers.hpp"
#include "penstock/telemetry/log.hpp"

namespace penstock::control {

/// Owned by one Worker. On the control thread. The end of the process in order (CONTRACT 5, Drain; FAULTS P-01 to P-03).
class Drain {
 public:
  enum class Phase : std::uint8_t {
    kServing,
    kAccepting,  ///< load balancers read 503 and go elsewhere; who still comes is served
    kLastWords,  ///< nothing is accepted any more; requests on the newest connections are still on their way
    kEmptying,   ///< idle connections are closed, the rest finishes
    kEnding,     ///< what was left is told so; its last bytes leave
    kDone,
  };

  /// A request reaches a connection that the kernel has accepted within a round trip or two, a TLS handshake before it.
  static constexpr Duration kLastWords = std::chrono::milliseconds(250);
  /// How long error events may take to leave: a second signal ends the process within a second.
  static constexpr Duration kFlushTime = std::chrono::milliseconds(500);
  static constexpr Duration kTick = std::chrono::milliseconds(20);

  /// `finished` is called once, from a timer.
  Drain(rt::Worker& worker, Workers& workers, telemetry::Logger& log, std::function<void()> finished);

  /// From the beginning: `times.delay` of accepting, all over after `times.timeout`.
  void Begin(const config::Drain& times);
  /// Now: what runs gets its error event.
  void EndNow();
  bool begun() const noexcept { return phase_ != Phase::kServing; }
  Phase phase() const noexcept { return phase_; }

 private:
  void OnTimer();
  void StopAccepting();
  void Count();
  void OnCounted(std::size_t exchanges, std::size_t connections);
  void Finish();

  rt::Worker& worker_;
  Workers& workers_;
  telemetry::Logger& log_;
  std::function<void()> finished_;
  rt::Timer timer_;
  Phase phase_ = Phase::kServing;
  TimePoint next_phase_{};
  TimePoint end_{};
  bool counting_ = false;
};

}  // namespace penstock::control
