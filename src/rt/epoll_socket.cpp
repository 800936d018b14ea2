#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "rt/epoll_loop.hpp"

namespace penstock::rt {

EpollSocket::~EpollSocket() {
  Close();
  loop_.DropReady(this);  // one that never had a descriptor may still have a failure to tell
}

void EpollSocket::Start(SocketHandler& handler) {
  handler_ = &handler;
  const int error = loop_.Watch(fd_, this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  if (error != 0) FailLater(error);
}

std::size_t EpollSocket::Write(std::span<const iovec> parts) {
  if (fd_ < 0 || connecting_ || failure_ != 0) return 0;
  std::size_t offered = 0;
  for (const iovec& part : parts) offered += part.iov_len;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  ssize_t n = 0;
  do {
    n = parts.size() == 1 ? ::send(fd_, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                          : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      FailLater(errno);
      return 0;
    }
    n = 0;
  }
  want_write_ = static_cast<std::size_t>(n) < offered;
  return static_cast<std::size_t>(n);
}

void EpollSocket::ShutdownWrite() {
  if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
}

void EpollSocket::ResumeRead() {
  if (!paused_) return;
  paused_ = false;
  if (wants_service()) loop_.ReadSoon(this);
}

bool EpollSocket::wants_service() const noexcept {
  return failure_ != 0 || (!connecting_ && !paused_ && !ended_ && (readable_ || peer_ended_));
}

void EpollSocket::Close() {
  if (fd_ < 0) return;
  loop_.DropEvents(this);
  loop_.DropReady(this);
  ::close(fd_);
  fd_ = -1;
}

void EpollSocket::Abort() {
  if (fd_ < 0) return;
  const linger reset{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  Close();
}

void EpollSocket::FailLater(int error) {
  if (failure_ != 0) return;
  failure_ = error;
  loop_.ReadSoon(this);
}

void EpollSocket::DeliverFailure() {
  const int error = failure_;
  SocketHandler* handler = handler_;
  Close();
  if (handler != nullptr) handler->OnError(error);
}

int EpollSocket::TakeError() const noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

void EpollSocket::FinishConnect() {
  connecting_ = false;
  failure_ = TakeError();
  if (failure_ != 0) {
    DeliverFailure();
    return;
  }
  if (wants_service()) loop_.ReadSoon(this);
  handler_->OnConnected();
}

void EpollSocket::OnEvents(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  // After a FIN or a reset, reads go on until they say so: what the peer sent before it is still delivered first.
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_ended_ = true;
  if ((events & EPOLLERR) != 0) errored_ = true;
  if (failure_ != 0) return;  // listed: told from there
  if (connecting_) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) FinishConnect();
    return;
  }
  // Nobody reads: paused, or the peer had ended before. A reset must be told all the same.
  if ((paused_ || ended_) && (events & EPOLLERR) != 0) {
    const int error = TakeError();
    failure_ = error == 0 ? ECONNRESET : error;
    DeliverFailure();
    return;
  }
  if ((events & EPOLLOUT) != 0 && want_write_) {
    want_write_ = false;
    if (wants_service()) loop_.ReadSoon(this);  // the handler may destroy this socket: read from the list
    handler_->OnWritable();
    return;
  }
  if (readable_ && !paused_ && !ended_) ReadAvailable();
}

/// One read. A short one ends the edge unless the peer's FIN was announced (epoll(7)): no second read just to learn
/// that there is nothing. After a full one the socket comes back from the ready list, when the others had their turn.
/// With a failed write behind it (failure_) a socket is read to its end, an answer sent before a reset, and then told.
void EpollSocket::ReadAvailable() {
  const std::span<char> scratch = loop_.scratch();
  ssize_t n = 0;
  do {
    n = ::recv(fd_, scratch.data(), scratch.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto size = static_cast<std::size_t>(n);
    if (size < scratch.size() && !peer_ended_ && failure_ == 0) {
      readable_ = false;
    } else {
      loop_.ReadSoon(this);
    }
    handler_->OnRead({scratch.data(), size});
    return;
  }
  readable_ = false;
  if (failure_ != 0) {
    DeliverFailure();
  } else if (n == 0) {
    ended_ = true;
    if (errored_) FailLater(ECONNRESET);  // the FIN came first, the reset in the same edge
    handler_->OnEnd();
  } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
    failure_ = errno;
    DeliverFailure();
  }
}

}  // namespace penstock::rt
