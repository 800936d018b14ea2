#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"
#include "penstock/mem/chain.hpp"
#include "penstock/rt/event_loop.hpp"
#include "penstock/rt/mailbox.hpp"
#include "penstock/rt/timer_wheel.hpp"

namespace penstock::rt {

/// Owned by one Worker. Something that may be in use further down the stack when its end is decided; see Worker::Bury.
class Mortal {
 public:
  virtual ~Mortal() = default;
};

/// Shared: Post() and Stop() may be called from any thread, all else belongs to the worker's own. One thread, one core,
/// one loop, and everything a request touches.
///
/// A turn: wait, read the clock, deliver events, fire timers, deliver letters, flush the dirty connections, bury the
/// dead.
class Worker {
 public:
  Worker(unsigned index, std::unique_ptr<EventLoop> loop, std::uint64_t seed);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  unsigned index() const noexcept { return index_; }
  EventLoop& loop() noexcept { return *loop_; }
  TimerWheel& timers() noexcept { return timers_; }
  ChunkPool& chunks() noexcept { return chunks_; }
  Prng& prng() noexcept { return prng_; }
  TimePoint Now() const noexcept { return loop_->Now(); }
  /// The clock itself, for the rare place that measures something inside a turn.
  TimePoint ReadClock() const noexcept { return loop_->ReadClock(); }
  WallTime Wall() noexcept;  ///< of this turn; read at most once per turn

  void Arm(Timer& timer, Duration delay) noexcept { timers_.Arm(timer, Now() + delay); }
  void FlushLater(Flushable& flushable) noexcept { dirty_.Add(flushable); }
  /// Destroys it at the end of the turn, when nothing of it is on the stack any more.
  void Bury(std::unique_ptr<Mortal> dead) { graves_.push_back(std::move(dead)); }
  /// Destroys what Bury() was given, now: for an owner that goes and takes along what the dead still use.
  void EmptyGraves();

  /// Runs `letter` on this worker's thread. Any thread.
  void Post(Mailbox::Letter letter);
  /// Ends Run() after the current turn. Any thread.
  void Stop() noexcept;

  void Run();      ///< turns until Stop()
  void RunTurn();  ///< one turn; waits until something is due
  bool stopped() const noexcept { return stop_.load(std::memory_order_relaxed); }

 private:
  unsigned index_;
  std::unique_ptr<EventLoop> loop_;
  Prng prng_;
  ChunkPool chunks_;
  TimerWheel timers_;
  Mailbox mailbox_;
  FlushList dirty_;
  std::vector<std::unique_ptr<Mortal>> graves_;
  std::vector<std::unique_ptr<Mortal>> burying_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> mail_{false};
  WallTime wall_{};
  bool wall_read_ = false;
};

/// Owned by one Worker. Something that the dead still touch: allocators and pools. Destroyed after everything that was
/// buried before its holder's end, so whoever holds one declares it before what uses it.
template <class T>
class BuriedLast {
 public:
  explicit BuriedLast(Worker& worker) : worker_(worker), held_(std::make_unique<Held>()) {}
  ~BuriedLast() { worker_.Bury(std::move(held_)); }
  BuriedLast(const BuriedLast&) = delete;
  BuriedLast& operator=(const BuriedLast&) = delete;

  T& operator*() noexcept { return held_->value; }
  T* operator->() noexcept { return &held_->value; }

 private:
  struct Held final : Mortal {
    T value;
  };
  Worker& worker_;
  std::unique_ptr<Held> held_;
};

/// Binds the calling thread to a core of those the process may use; false when the kernel refuses.
bool PinThread(unsigned index) noexcept;
/// How many cores the process may use (affinity mask), at least 1: as it was at the first call, before any thread was
/// pinned. So it is the same for whoever divides by the workers, also after a reload.
unsigned UsableCores() noexcept;

}  // namespace penstock::rt
