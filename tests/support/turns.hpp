#pragma once

#include "penstock/rt/worker.hpp"

namespace penstock::test {

/// Turns the worker until `done()` holds; false when it does not after `turns_max`. A timer of 1 ms keeps turns coming
/// when nothing happens, so a test that waits in vain ends.
template <class Condition>
bool RunUntil(rt::Worker& worker, Condition done, int turns_max = 5000) {
  struct Tick {
    explicit Tick(rt::Worker& w) : worker(w) {}
    rt::Worker& worker;
    rt::Timer timer{this, [](void* self) {
                      auto* tick = static_cast<Tick*>(self);
                      tick->worker.Arm(tick->timer, std::chrono::milliseconds(1));
                    }};
  } tick(worker);
  worker.Arm(tick.timer, std::chrono::milliseconds(1));
  for (int turn = 0; turn < turns_max; ++turn) {
    if (done()) return true;
    worker.RunTurn();
  }
  return done();
}

/// A few turns for what must not happen.
inline void RunTurns(rt::Worker& worker, int turns) {
  RunUntil(
      worker, [] { return false; }, turns);
}

}  // namespace penstock::test
