#include "app/signals.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

#include "penstock/base/assert.hpp"

namespace penstock::app {

Signals::Signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&wanted, signal);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  signal_fd_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
  stop_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  PENSTOCK_ASSERT(signal_fd_ >= 0 && stop_fd_ >= 0);
}

Signals::~Signals() {
  ::close(signal_fd_);
  ::close(stop_fd_);
}

int Signals::Next() {
  for (;;) {
    pollfd fds[] = {{stop_fd_, POLLIN, 0}, {signal_fd_, POLLIN, 0}};
    if (::poll(fds, 2, -1) < 0) {
      PENSTOCK_ASSERT(errno == EINTR || errno == ENOMEM);  // poll(2): no memory for the kernel's tables, now
      continue;
    }
    if (fds[0].revents != 0) return 0;
    signalfd_siginfo came{};
    if (::read(signal_fd_, &came, sizeof came) == static_cast<ssize_t>(sizeof came))
      return static_cast<int>(came.ssi_signo);
  }
}

void Signals::Stop() noexcept { ::eventfd_write(stop_fd_, 1); }

}  // namespace penstock::app
