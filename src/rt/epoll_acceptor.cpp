#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "rt/epoll_loop.hpp"

namespace penstock::rt {

EpollAcceptor::EpollAcceptor(EpollLoop& loop, int fd, bool shared, AcceptHandler& handler)
    : loop_(loop), handler_(handler), fd_(fd), shared_(shared) {
  Watch();
}

EpollAcceptor::~EpollAcceptor() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  Pause();
  loop_.DropResting(this);
}

void EpollAcceptor::Pause() {
  paused_ = true;
  if (watched_) loop_.Forget(fd_, this);
  watched_ = false;
}

void EpollAcceptor::Resume() {
  paused_ = false;
  if (!resting_) Watch();
}

void EpollAcceptor::Watch() {
  if (watched_ || paused_) return;
  watched_ = loop_.Watch(fd_, this, EPOLLIN | (shared_ ? static_cast<std::uint32_t>(EPOLLEXCLUSIVE) : 0u)) == 0;
  if (!watched_) Rest();
}

void EpollAcceptor::Rest() {
  if (watched_) loop_.Forget(fd_, this);
  watched_ = false;
  rest_until_ = loop_.Now() + kAcceptRest;
  if (!std::exchange(resting_, true)) loop_.AddResting(this);
}

void EpollAcceptor::Refuse() { ::shutdown(fd_, SHUT_RDWR); }

void EpollAcceptor::AcceptUpTo(std::size_t budget) {
  bool destroyed = false;
  bool* const outer = std::exchange(destroyed_, &destroyed);
  for (std::size_t i = 0; i < budget; ++i) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINVAL) break;  // EINVAL: after Refuse()
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      const int error = errno;
      destroyed_ = outer;
      Rest();
      handler_.OnAcceptError(error);
      return;
    }
    if (storage.ss_family != AF_UNIX) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const Address peer(reinterpret_cast<const sockaddr*>(&storage), size);
    const bool was_paused = paused_;
    handler_.OnAccept(std::make_unique<EpollSocket>(loop_, fd, peer, false));
    if (destroyed) {
      if (outer != nullptr) *outer = true;
      return;
    }
    if (paused_ && !was_paused) break;
  }
  destroyed_ = outer;
}

}  // namespace penstock::rt
