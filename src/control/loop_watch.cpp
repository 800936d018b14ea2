#include "control/loop_watch.hpp"

#include <unistd.h>

#include <algorithm>

namespace penstock::control {

LoopWatch::LoopWatch(std::size_t workers, Post post, Clock clock)
    : post_(std::move(post)), clock_(std::move(clock)), beats_(workers) {}

void LoopWatch::Tick(TimePoint now) {
  const Duration passed = last_tick_ == TimePoint{} ? kTick : now - last_tick_;
  last_tick_ = now;
  overslept_ = passed > 2 * kTick;
  for (std::size_t i = 0; i < beats_.size(); ++i) {
    Beat& beat = beats_[i];
    if (beat.under_way) {
      beat.spoiled |= overslept_;
      const std::int64_t delivered = beat.mark->delivered_ns.load(std::memory_order_acquire);
      if (delivered == 0) {
        beat.standing += std::min(passed, kTick);
        continue;
      }
      if (!beat.spoiled) {
        // cppcheck-suppress constStatement
        beat.samples[beat.next] = {now, std::max(TimePoint{delivered} - beat.posted, Duration{})};
        beat.next = (beat.next + 1) % kSamples;
        beat.count = std::min(beat.count + 1, kSamples);
      }
      beat.standing = {};
    }
    Send(i, now);
  }
}

void LoopWatch::Send(std::size_t worker, TimePoint now) {
  Beat& beat = beats_[worker];
  beat.under_way = true;
  beat.spoiled = false;
  beat.posted = now;
  beat.mark->delivered_ns.store(0, std::memory_order_relaxed);
  post_(worker, [mark = beat.mark, clock = clock_] {
    if (mark->thread.load(std::memory_order_relaxed) == 0) mark->thread.store(::gettid(), std::memory_order_relaxed);
    mark->delivered_ns.store(clock().ns, std::memory_order_release);
  });
}

std::optional<Duration> LoopWatch::LagOf(const Beat& beat) const {
  std::optional<Duration> least;
  for (std::size_t i = 0; i < beat.count; ++i) {
    const Sample& sample = beat.samples[i];
    if (last_tick_ - sample.at < kWindow && (!least.has_value() || sample.delay < *least)) least = sample.delay;
  }
  if (least.has_value()) return least;
  if (beat.under_way && beat.standing >= kWindow) return beat.standing;
  return std::nullopt;
}

std::optional<Duration> LoopWatch::Lag() const {
  std::optional<Duration> most;
  for (const Beat& beat : beats_) {
    const std::optional<Duration> lag = LagOf(beat);
    if (lag.has_value() && (!most.has_value() || *lag > *most)) most = lag;
  }
  return most;
}

}  // namespace penstock::control
