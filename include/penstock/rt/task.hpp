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
/// it ends, and is destroyed with its Task, also while suspended: destroying a suspended task runs the destructors of its
/// locals, which is how an exchange is cancelled. Nothing may throw out of it.
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
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().awaiter = awaiter;
    return handle_;
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

/// One coroutine waits here until somebody calls Set(); setting first is remembered. Set resumes the waiter inside the
/// call. Reset makes it usable again.
class Signal {
 public:
  bool await_ready() const noexcept { return set_; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  void await_resume() noexcept { set_ = false; }

  void Set() {
    set_ = true;
    if (waiter_ != nullptr) std::exchange(waiter_, nullptr).resume();
  }
  void Reset() noexcept {
    set_ = false;
    waiter_ = nullptr;
  }
  bool waiting() const noexcept { return waiter_ != nullptr; }

 private:
  std::coroutine_handle<> waiter_ = nullptr;
  bool set_ = false;
};

}  // namespace penstock::rt
