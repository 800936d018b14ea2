#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace penstock::app {

/// Sanitizers tell more of a crash than we can, by handlers of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCrashReports = false;
#else
inline constexpr bool kCrashReports = true;
#endif

/// From here on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT leave one line on stderr before they do what they do
/// anyway, which ends the process and keeps its core:
///
///     penstock: SIGSEGV at 0x10 in thread worker-0; 0.1.0 (commit 7d4e97e), build id 9f0c...; stack: penstock+0x1a2b
///     ...
///
/// Names of signals, threads and libraries, and addresses: nothing of what the memory held, so no secret. The stack is
/// of the thread that crashed, innermost first, as offsets that `addr2line -e penstock` takes. `build` is copied.
/// Called once, before other threads. Async-signal-safe in the handler: what would take a lock or load a library is
/// done here.
void InstallCrashReport(std::string_view build);

/// Owned by one Worker. While it lives, crashes of the calling thread are reported from a stack of their own, so that
/// an overflow of its stack is reported too. Other threads' are not, and end with the core alone.
class CrashStack {
 public:
  CrashStack();
  ~CrashStack();
  CrashStack(const CrashStack&) = delete;
  CrashStack& operator=(const CrashStack&) = delete;

 private:
  static constexpr std::size_t kBytes = 64 * 1024;  ///< the unwinder takes some 5 KiB, the kernel's frame up to 12
  std::unique_ptr<std::byte[]> bytes_;
};

}  // namespace penstock::app
