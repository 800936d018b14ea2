#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "penstock/base/time.hpp"

namespace penstock::control {

/// Owned by one Worker. On the control thread. How long things wait in the workers' loops, and which of them stands
/// still: every tick a letter goes to each worker that has delivered the last one.
///
/// Time that this thread itself slept through (the process was stopped, the machine suspended or starved) is held
/// against nobody: it counts as one tick, and what was on its way meanwhile is no sample.
class LoopWatch {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(100);
  /// The least delay within this time is the lag: what even the luckiest had to wait. One long turn is no overload, a
  /// queue that never empties is (K. Nichols, V. Jacobson, Controlling Queue Delay, ACM Queue 10(5), 2012).
  static constexpr Duration kWindow = std::chrono::seconds(1);

  /// What the letter carries over: written by the worker, once.
  using Letter = std::function<void()>;
  using Clock = std::function<TimePoint()>;
  using Post = std::function<void(std::size_t worker, Letter letter)>;

  /// `clock` is asked on the workers' threads.
  LoopWatch(std::size_t workers, Post post, Clock clock);

  void Tick(TimePoint now);
  /// This thread was late with its last tick: what it measured over that time says nothing.
  bool overslept() const noexcept { return overslept_; }
  /// Of the worker where it is most; nothing: no letter has come back yet.
  std::optional<Duration> Lag() const;
  /// How long a worker has not come to its letter; 0 when it has.
  Duration Standing(std::size_t worker) const noexcept { return beats_[worker].standing; }
  /// Its thread, for a signal; 0: not known yet.
  pid_t Thread(std::size_t worker) const noexcept {
    return beats_[worker].mark->thread.load(std::memory_order_relaxed);
  }
  std::size_t workers() const noexcept { return beats_.size(); }

 private:
  static constexpr std::size_t kSamples = static_cast<std::size_t>(kWindow / kTick);

  /// Shared: atomics, between this thread and one worker.
  struct Mark {
    std::atomic<std::int64_t> delivered_ns{0};  ///< 0: not yet
    std::atomic<pid_t> thread{0};
  };
  struct Sample {
    TimePoint at{};
    Duration delay{};
  };
  struct Beat {
    std::shared_ptr<Mark> mark = std::make_shared<Mark>();
    bool under_way = false;
    bool spoiled = false;  ///< this thread was late meanwhile
    TimePoint posted{};
    Duration standing{};
    std::array<Sample, kSamples> samples{};
    std::size_t next = 0;
    std::size_t count = 0;
  };
  void Send(std::size_t worker, TimePoint now);
  std::optional<Duration> LagOf(const Beat& beat) const;

  const Post post_;
  const Clock clock_;
  std::vector<Beat> beats_;
  TimePoint last_tick_{};
  bool overslept_ = false;
};

}  // namespace penstock::control
