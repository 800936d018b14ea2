#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "penstock/base/assert.hpp"

namespace penstock::rt {

/// Coroutine frames come from per-thread free lists by size class (a worker is one thread), so that starting a
/// task costs no malloc after warm-up. Frames above the largest class go to malloc.
void* AllocateFrame(std::size_t size);
void FreeFrame(void* frame, std::size_t size) noexcept;

/// Owned by one Worker. A lazily started coroutine: it runs when awaited (or Start()ed), resumes its awaiter when
/// it ends, and is destroyed with its Task, also while suspended: destroying a suspended task runs the destructors of
/// its locals, which is how an exchange is cancelled. Nothing may throw out of it.
template <class T>
class [[nodiscard]] Task {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  Task() noexcept = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { Destroy(); }

  bool await_ready() const noexcept { return false; }
  /// Runs the task as a plain call: one that ends without suspending goes on in its awaiter without a transfer, so that
  /// a loop of a million such awaits needs no stack even where the compiler makes no tail calls (sanitizers, -O0).
  bool await_suspend(std::coroutine_handle<> awaiter) {
    handle_.resume();
    if (handle_.done()) return false;
    handle_.promise().awaiter = awaiter;
    return true;
  }
  T await_resume() { return handle_.promise().Take(); }

  /// Runs a top-level task until it first suspends. The caller keeps it and destroys it when done() or to cancel it.
  void Start() { handle_.resume(); }
  bool valid() const noexcept { return handle_ != nullptr; }
  bool done() const noexcept { return handle_ == nullptr || handle_.done(); }
  void Destroy() noexcept {
    if (handle_ != nullptr) std::exchange(handle_, nullptr).destroy();
  }

 private:
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  Handle handle_ = nullptr;
};

namespace detail {

struct PromiseParts {
  std::coroutine_handle<> awaiter = std::noop_coroutine();

  static void* operator new(std::size_t size) { return AllocateFrame(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { FreeFrame(frame, size); }

  struct ResumeAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      return self.promise().awaiter;
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  ResumeAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }
};

}  // namespace detail

template <class T>
struct Task<T>::promise_type : detail::PromiseParts {
  std::optional<T> value;
  Task get_return_object() noexcept { return Task(Handle::from_promise(*this)); }
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T Take() { return std::move(*value); }
};

template <>
struct Task<void>::promise_type : detail::PromiseParts {
  Task get_return_object() noexcept { return Task(Handle::from_promise(*this)); }
  void return_void() const noexcept {}
  void Take() const noexcept {}
};

/// Owned by one Worker. One coroutine waits here (`co_await signal`) until somebody calls Set(); setting first is
/// remembered, waking up forgets it. Set resumes the waiter inside the call. A waiter that is destroyed while it waits
/// is taken off the signal, and a signal may go before its waiter (which then never wakes).
class Signal {
 public:
  /// Owned by one Worker. The awaiter: lives in the waiting coroutine's frame.
  class Wait {
   public:
    explicit Wait(Signal& signal) noexcept : signal_(&signal) {}
    ~Wait() {
      if (signal_ != nullptr && signal_->wait_ == this) signal_->wait_ = nullptr;
    }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    bool await_ready() const noexcept { return signal_->set_; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      PENSTOCK_ASSERT(signal_->wait_ == nullptr);
      waiter_ = waiter;
      signal_->wait_ = this;
    }
    void await_resume() const noexcept { signal_->set_ = false; }

   private:
    friend class Signal;
    Signal* signal_;
    std::coroutine_handle<> waiter_;
  };

  Signal() noexcept = default;
  ~Signal() {
    if (wait_ != nullptr) wait_->signal_ = nullptr;
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  Wait operator co_await() noexcept { return Wait(*this); }
  void Set() {
    set_ = true;
    if (wait_ != nullptr) std::exchange(wait_, nullptr)->waiter_.resume();
  }
  void Reset() noexcept { set_ = false; }
  bool waiting() const noexcept { return wait_ != nullptr; }

 private:
  friend class Wait;
  Wait* wait_ = nullptr;
  bool set_ = false;
};

}  // namespace penstock::rt
