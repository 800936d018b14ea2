#include "penstock/control/drain.hpp"

#include <algorithm>

namespace penstock::control {

Drain::Drain(rt::Worker& worker, Workers& workers, telemetry::Logger& log, std::function<void()> finished)
    : worker_(worker), workers_(workers), log_(log), finished_(std::move(finished)), timer_(this, [](void* self) {
        static_cast<Drain*>(self)->OnTimer();
      }) {}

void Drain::Begin(const config::Drain& times) {
  if (begun()) return;
  phase_ = Phase::kAccepting;
  end_ = worker_.Now() + std::max(times.timeout, times.delay);
  next_phase_ = worker_.Now() + times.delay;
  log_.Info(worker_.Wall(), "draining",
            {{"delay_ms", ToMilliseconds(times.delay)}, {"timeout_ms", ToMilliseconds(times.timeout)}});
  workers_.Tell([](proxy::Gateway& gateway) { gateway.BeginDrain(); });
  worker_.timers().Arm(timer_, next_phase_);
}

void Drain::EndNow() {
  if (phase_ == Phase::kEnding || phase_ == Phase::kDone) return;
  log_.Warn(worker_.Wall(), "ending what still runs");
  workers_.Tell([](proxy::Gateway& gateway) {
    gateway.BeginDrain();
    gateway.server().StopAccepting();
    gateway.EndAll();
  });
  phase_ = Phase::kEnding;
  end_ = worker_.Now() + kFlushTime;
  worker_.Arm(timer_, kTick);
}

void Drain::OnTimer() {
  const TimePoint now = worker_.Now();
  switch (phase_) {
    case Phase::kServing:
    case Phase::kDone: return;
    case Phase::kAccepting: StopAccepting(); break;
    case Phase::kLastWords:
      if (now >= next_phase_) phase_ = Phase::kEmptying;
      break;
    case Phase::kEmptying:
      if (now >= end_) {
        EndNow();
        return;
      }
      break;
    case Phase::kEnding:
      if (now >= end_) {
        Finish();
        return;
      }
      break;
  }
  Count();
  worker_.Arm(timer_, kTick);
}

void Drain::StopAccepting() {
  phase_ = Phase::kLastWords;
  next_phase_ = worker_.Now() + kLastWords;
  workers_.Tell([](proxy::Gateway& gateway) {
    gateway.server().StopAccepting();
    gateway.EndWatches();
  });
  log_.Info(worker_.Wall(), "accepting no more connections");
}

/// Asks the workers what is left; in the later phases they close what is idle on the way.
void Drain::Count() {
  if (counting_) return;
  counting_ = true;
  struct Left {
    std::size_t exchanges = 0;
    std::size_t connections = 0;
  };
  const auto left = std::make_shared<std::vector<Left>>(workers_.size());  // a place per worker
  const bool close_idle = phase_ >= Phase::kEmptying;
  workers_.Ask(
      [left, close_idle](proxy::Gateway& gateway, std::size_t worker) {
        if (close_idle) gateway.server().CloseIdle();
        (*left)[worker] = {gateway.exchanges(), gateway.server().connections()};
      },
      [this, left] {
        counting_ = false;
        Left sum;
        for (const Left& each : *left) {
          sum.exchanges += each.exchanges;
          sum.connections += each.connections;
        }
        OnCounted(sum.exchanges, sum.connections);
      });
}

void Drain::OnCounted(std::size_t exchanges, std::size_t connections) {
  if (phase_ != Phase::kDone && exchanges == 0 && connections == 0) Finish();
}

void Drain::Finish() {
  phase_ = Phase::kDone;
  timer_.Cancel();
  log_.Info(worker_.Wall(), "drained");
  finished_();
}

}  // namespace penstock::control
