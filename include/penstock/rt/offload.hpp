#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "penstock/rt/worker.hpp"

namespace penstock::rt {

/// Shared: a mutex around the queue. A few threads for work that would hold a loop up (parsing a body of megabytes).
class OffloadThreads {
 public:
  static constexpr std::size_t kQueueMax = 1024;

  explicit OffloadThreads(unsigned threads);
  ~OffloadThreads();  ///< runs what is queued, then joins
  OffloadThreads(const OffloadThreads&) = delete;
  OffloadThreads& operator=(const OffloadThreads&) = delete;

  /// False when the queue is full: do it here.
  bool Submit(std::function<void()> job);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

/// Owned by one Worker. `co_await Offload(threads, worker, job)`: runs `job` on another thread and resumes on this
/// worker with its result. The job owns everything it touches: when the awaiting task is destroyed meanwhile, the job
/// ends unheard.
template <class Job>
class Offload {
 public:
  using Value = std::invoke_result_t<Job&>;

  Offload(OffloadThreads& threads, Worker& worker, Job job)
      : threads_(threads), worker_(worker), state_(std::make_shared<State>(std::move(job))) {}
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;
  ~Offload() { state_->waiter = nullptr; }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) {
    state_->waiter = waiter;
    const bool queued = threads_.Submit([state = state_, &worker = worker_] {
      state->value.emplace(state->job());
      worker.Post([state] {
        if (state->waiter != nullptr) std::exchange(state->waiter, nullptr).resume();
      });
    });
    if (!queued) state_->value.emplace(state_->job());
    return queued;
  }
  Value await_resume() { return std::move(*state_->value); }

 private:
  struct State {
    explicit State(Job j) : job(std::move(j)) {}
    Job job;
    std::optional<Value> value;                // written by the other thread before its letter, read after it
    std::coroutine_handle<> waiter = nullptr;  // the worker's thread only
  };
  OffloadThreads& threads_;
  Worker& worker_;
  std::shared_ptr<State> state_;
};

}  // namespace penstock::rt
