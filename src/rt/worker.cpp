#include "penstock/rt/worker.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace penstock::rt {
namespace {

constexpr Duration kOverslept = std::chrono::seconds(1);
constexpr int kPollsAfterwards = 16;

}  // namespace

Worker::Worker(unsigned index, std::unique_ptr<EventLoop> loop, std::uint64_t seed)
    : index_(index), loop_(std::move(loop)), prng_(seed), timers_(loop_->Now()) {}

Worker::~Worker() {
  // Letters and graves may hold connections, which hold chunks and timers of this worker.
  mailbox_.Deliver();
  EmptyGraves();
}

void Worker::EmptyGraves() {
  while (!graves_.empty()) {
    burying_.swap(graves_);
    burying_.clear();  // in order: BuriedLast counts on it
  }
}

WallTime Worker::Wall() noexcept {
  if (!wall_read_) {
    wall_ = ReadWallClock();
    wall_read_ = true;
  }
  return wall_;
}

void Worker::Post(Mailbox::Letter letter) {
  const bool first = mailbox_.Post(std::move(letter));
  mail_.store(true, std::memory_order_release);
  if (first) loop_->Wake();
}

void Worker::Stop() noexcept {
  stop_.store(true, std::memory_order_relaxed);
  loop_->Wake();
}

void Worker::Run() {
  while (!stopped()) RunTurn();
}

void Worker::RunTurn() {
  const bool idle = dirty_.empty() && graves_.empty() && !mail_.load(std::memory_order_acquire);
  wall_read_ = false;
  const TimePoint due = idle ? timers_.NextDeadline() : Now();
  loop_->Poll(due);
  // After a standstill (SIGSTOP, a frozen group, no CPU to be had) more waits than one poll delivers: it is read before
  // a timer may say that nothing came (FAULTS P-11).
  if (due != TimePoint::Max() && Now() - due > kOverslept) {
    for (int i = 0; i < kPollsAfterwards; ++i) loop_->Poll(Now());
  }
  timers_.Advance(loop_->Now());
  if (mail_.exchange(false, std::memory_order_acquire)) mailbox_.Deliver();
  dirty_.Run();
  if (!graves_.empty()) {
    burying_.swap(graves_);
    burying_.clear();
  }
}

unsigned UsableCores() noexcept {
  static const unsigned at_start = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1u;
    return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
  }();
  return at_start;
}

bool PinThread(unsigned index) noexcept {
  cpu_set_t usable;
  CPU_ZERO(&usable);
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return false;
  unsigned seen = 0;
  const auto wanted = index % static_cast<unsigned>(std::max(CPU_COUNT(&usable), 1));
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &usable) || seen++ != wanted) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0;
  }
  return false;
}

}  // namespace penstock::rt
