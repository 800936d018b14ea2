#include "control/stall_stack.hpp"

#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

namespace penstock::control {
namespace {

constexpr int kFramesMax = 64;

int StackSignal() noexcept { return SIGRTMIN + 4; }

void WriteStack(int) {
  const int error = errno;
  std::array<void*, kFramesMax> frames;
  const int count = ::backtrace(frames.data(), kFramesMax);
  constexpr std::string_view kTitle = "penstock: the stack of a worker that stood still\n";
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, kTitle.data(), kTitle.size());
  ::backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
  errno = error;
}

}  // namespace

void PrepareStallStacks() {
  // The first call loads the unwinder, which a signal handler must not do.
  std::array<void*, 1> frame;
  ::backtrace(frame.data(), 1);
  struct sigaction action {};
  action.sa_handler = WriteStack;
  action.sa_flags = SA_RESTART;
  ::sigaction(StackSignal(), &action, nullptr);
}

void AskForStack(pid_t thread) {
  if (thread != 0) ::syscall(SYS_tgkill, ::getpid(), thread, StackSignal());
}

}  // namespace penstock::control
