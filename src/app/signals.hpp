#pragma once

namespace penstock::app {

/// Shared: Stop() may be called from any thread; all else is the main thread's. The process's signals as values.
/// Constructed before any other thread, so that all inherit the mask and nobody is interrupted.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// The next of SIGTERM, SIGINT, SIGHUP, SIGUSR1; 0 after Stop().
  int Next();
  void Stop() noexcept;

 private:
  int signal_fd_;
  int stop_fd_;
};

}  // namespace penstock::app
