#include "rt/epoll_loop.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "penstock/base/assert.hpp"

namespace penstock::rt {

EpollLoop::EpollLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      now_(ReadMonotonicClock()) {
  PENSTOCK_ASSERT(epoll_ >= 0 && wake_ >= 0);
  PENSTOCK_ASSERT(Watch(wake_, nullptr, EPOLLIN | EPOLLET) == 0);
}

EpollLoop::~EpollLoop() {
  ::close(wake_);
  ::close(epoll_);
}

int EpollLoop::Watch(int fd, Watched* watched, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watched;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void EpollLoop::Forget(int fd, Watched* watched) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  DropEvents(watched);
}

/// Events of this turn that were not served yet must not reach what is gone.
void EpollLoop::DropEvents(Watched* watched) noexcept {
  for (int i = event_index_; i < event_count_; ++i) {
    if (events_[static_cast<std::size_t>(i)].data.ptr == watched) events_[static_cast<std::size_t>(i)].events = 0;
  }
}

void EpollLoop::ReadSoon(EpollSocket* socket) {
  if (socket->listed_) return;
  socket->listed_ = true;
  ready_.push_back(socket);
}

void EpollLoop::DropReady(EpollSocket* socket) noexcept {
  if (!socket->listed_) return;
  socket->listed_ = false;
  std::replace(ready_.begin(), ready_.end(), socket, static_cast<EpollSocket*>(nullptr));
  std::replace(serving_.begin(), serving_.end(), socket, static_cast<EpollSocket*>(nullptr));
}

void EpollLoop::Wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
}

int EpollLoop::WaitMilliseconds(TimePoint deadline) const noexcept {
  if (!ready_.empty()) return 0;
  TimePoint until = deadline;
  for (const EpollAcceptor* acceptor : resting_) until = std::min(until, acceptor->rest_until_);
  if (until == TimePoint::Max()) return -1;
  // now_ is as old as the last turn was long: a timer may be late by that much, which spares a clock read per turn.
  const Duration left = until - now_;
  if (left <= Duration::zero()) return 0;
  const std::int64_t milliseconds = (left.count() + 999'999) / 1'000'000;
  return static_cast<int>(std::min<std::int64_t>(milliseconds, INT_MAX));
}

void EpollLoop::Poll(TimePoint deadline) {
  const int n = ::epoll_wait(epoll_, events_.data(), kEventsPerTurn, WaitMilliseconds(deadline));
  now_ = ReadMonotonicClock();
  event_count_ = std::max(n, 0);
  for (event_index_ = 0; event_index_ < event_count_;) {
    const epoll_event event = events_[static_cast<std::size_t>(event_index_++)];
    if (event.events == 0) continue;
    if (event.data.ptr == nullptr) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
      continue;
    }
    static_cast<Watched*>(event.data.ptr)->OnEvents(event.events);
  }
  event_count_ = 0;
  ServeReady();
  if (!resting_.empty()) WakeAcceptors();
}

/// One more share for each socket that was left with bytes; those that fill it again come back next turn.
void EpollLoop::ServeReady() {
  if (ready_.empty()) return;
  serving_.swap(ready_);
  for (std::size_t i = 0; i < serving_.size(); ++i) {
    EpollSocket* socket = serving_[i];
    if (socket == nullptr) continue;
    socket->listed_ = false;
    serving_[i] = nullptr;
    if (!socket->wants_service()) continue;
    // A failed write does not eat what the peer had sent; nobody reads a paused or ended socket, so that is told at
    // once.
    const bool readable = socket->fd_ >= 0 && !socket->connecting_ && !socket->paused_ && !socket->ended_;
    if (readable) {
      socket->ReadAvailable();
    } else {
      socket->DeliverFailure();
    }
  }
  serving_.clear();
}

void EpollLoop::WakeAcceptors() {
  std::vector<EpollAcceptor*> rested;
  std::erase_if(resting_, [&](EpollAcceptor* acceptor) {
    if (acceptor->rest_until_ > now_) return false;
    rested.push_back(acceptor);
    return true;
  });
  for (EpollAcceptor* acceptor : rested) {
    acceptor->resting_ = false;
    acceptor->Watch();
  }
}

std::unique_ptr<Socket> EpollLoop::Connect(const Address& address, const ConnectOptions& options,
                                           SocketHandler& handler) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto socket = std::make_unique<EpollSocket>(*this, fd, address, true);
  if (fd < 0) {
    // No descriptor: the error is delivered from the ready list like any other.
    socket->handler_ = &handler;
    socket->FailLater(errno);
    return socket;
  }
  if (!address.is_unix()) {
    const int on = 1;
    if (options.no_delay) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.dead_link_timeout > Duration::zero()) {
      const auto milliseconds = static_cast<unsigned>(options.dead_link_timeout.count() / 1'000'000);
      const int seconds = std::max(1, static_cast<int>(milliseconds / 3000));
      ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
      ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
      ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    }
  }
  if (::connect(fd, address.get(), address.size()) < 0 && errno != EINPROGRESS) {
    socket->handler_ = &handler;
    socket->FailLater(errno);
    return socket;
  }
  socket->Start(handler);
  return socket;
}

std::unique_ptr<EventLoop> MakeEpollLoop() { return std::make_unique<EpollLoop>(); }

}  // namespace penstock::rt
