#include "penstock/net/listener.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace penstock::net {
namespace {

constexpr int kBacklog = 4096;  // the kernel cuts it to net.core.somaxconn

std::string Describe(const rt::Address& address, int error) {
  std::string text = address.ToString() + ": " + std::strerror(error);
  if (error == EACCES && address.port() != 0 && address.port() < 1024) {
    text += " (ports below 1024 want CAP_NET_BIND_SERVICE)";
  }
  return text;
}

/// A socket file without a listener behind it is left over from a crash; one that answers belongs to somebody.
bool IsStale(const rt::Address& address, const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0) return false;
  const bool refused = ::connect(probe, address.get(), address.size()) != 0 && errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

/// 0 where nothing is.
ino_t InodeOf(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      address_(other.address_),
      unlink_path_(std::exchange(other.unlink_path_, {})),
      unlink_inode_(other.unlink_inode_) {}

ListenSocket& ListenSocket::operator=(ListenSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(address_, other.address_);
  std::swap(unlink_path_, other.unlink_path_);
  std::swap(unlink_inode_, other.unlink_inode_);
  return *this;
}

// The file first: behind the close, the path may be a successor's, which took ours for stale.
ListenSocket::~ListenSocket() {
  if (!unlink_path_.empty() && InodeOf(unlink_path_) == unlink_inode_) ::unlink(unlink_path_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

std::optional<std::string> ListenSocket::WhyTaken(const rt::Address& address) {
  ListenSocket probe;
  probe.fd_ = ::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe.fd_ < 0) return Describe(address, errno);
  const int on = 1;
  ::setsockopt(probe.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(probe.fd_, address.get(), address.size()) != 0) return Describe(address, errno);
  return std::nullopt;
}

Result<ListenSocket, std::string> ListenSocket::Open(const rt::Address& address, bool reuse_port) {
  ListenSocket listener;
  listener.address_ = address;
  listener.fd_ = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener.fd_ < 0) return Describe(address, errno);
  const int on = 1;
  if (!address.is_unix()) {
    ::setsockopt(listener.fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) ::setsockopt(listener.fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (::bind(listener.fd_, address.get(), address.size()) != 0) {
    const int error = errno;
    const std::string path = address.is_unix() ? address.ToString().substr(5) : "";
    if (error != EADDRINUSE || path.empty() || !IsStale(address, path)) return Describe(address, error);
    ::unlink(path.c_str());
    if (::bind(listener.fd_, address.get(), address.size()) != 0) return Describe(address, errno);
  }
  if (address.is_unix()) {
    listener.unlink_path_ = address.ToString().substr(5);
    listener.unlink_inode_ = InodeOf(listener.unlink_path_);
  }
  if (::listen(listener.fd_, kBacklog) != 0) return Describe(address, errno);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::getsockname(listener.fd_, reinterpret_cast<sockaddr*>(&bound), &size) == 0 && !address.is_unix()) {
    listener.address_ = rt::Address(reinterpret_cast<const sockaddr*>(&bound), size);
  }
  return listener;
}

}  // namespace penstock::net
