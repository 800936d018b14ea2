#include "support/raw_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "penstock/base/assert.hpp"

namespace penstock::test {

RawSocket::RawSocket(RawSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ended_(other.ended_), error_(other.error_) {}

RawSocket& RawSocket::operator=(RawSocket&& other) noexcept {
  Close();
  fd_ = std::exchange(other.fd_, -1);
  ended_ = other.ended_;
  error_ = other.error_;
  return *this;
}

RawSocket RawSocket::Connect(const rt::Address& address) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  PENSTOCK_ASSERT(fd >= 0);
  const int result = ::connect(fd, address.get(), address.size());
  PENSTOCK_ASSERT(result == 0 || errno == EINPROGRESS);
  return RawSocket(fd);
}

RawSocket RawSocket::Listen() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const auto any = rt::Address::Parse("127.0.0.1:0");
  PENSTOCK_ASSERT(fd >= 0 && ::bind(fd, any->get(), any->size()) == 0 && ::listen(fd, 64) == 0);
  return RawSocket(fd);
}

RawSocket RawSocket::Accept() const {
  return RawSocket(::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

rt::Address RawSocket::LocalAddress() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size);
  return {reinterpret_cast<const sockaddr*>(&storage), size};
}

std::size_t RawSocket::Send(std::string_view bytes) const {
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return n < 0 ? 0 : static_cast<std::size_t>(n);
}

std::string RawSocket::Receive(std::size_t max) {
  std::string bytes(std::min<std::size_t>(max, 1 << 20), '\0');
  const ssize_t n = fd_ < 0 ? -1 : ::recv(fd_, bytes.data(), bytes.size(), 0);
  if (n == 0) ended_ = true;
  if (n < 0 && fd_ >= 0 && errno != EAGAIN && errno != ENOTCONN) error_ = errno;
  bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return bytes;
}

void RawSocket::ShutdownWrite() const { ::shutdown(fd_, SHUT_WR); }

void RawSocket::Close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void RawSocket::Reset() {
  const linger reset{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  Close();
}

void RawSocket::SetReceiveBuffer(int bytes) const { ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }

}  // namespace penstock::test
