// LD_PRELOAD: whoever reads or writes gets less done than asked for, as POSIX lets any kernel do (FAULTS P-07). Files:
// between one byte and thirteen at a time; pieces of fewer than sixteen bytes pass whole, since eventfd(2) and its like
// take all or nothing. Sockets: the smallest buffers that there are, so that what is short is so for the kernel too,
// which then tells when there is more.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace {

constexpr std::size_t kWhole = 16;

std::size_t Less(std::size_t asked) noexcept {
  static std::atomic<unsigned> calls{0};
  const std::size_t most = 1 + calls.fetch_add(1, std::memory_order_relaxed) * 5 % 13;
  return asked < kWhole ? asked : std::min(asked, most);
}

int Small(long fd) noexcept {
  const int least = 1;  // socket(7): the kernel makes of it what it needs
  const auto at = static_cast<int>(fd);
  if (at >= 0) {
    ::setsockopt(at, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    ::setsockopt(at, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
  }
  return at;
}

}  // namespace

extern "C" {

int socket(int family, int type, int protocol) noexcept { return Small(::syscall(SYS_socket, family, type, protocol)); }

int accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
  return Small(::syscall(SYS_accept4, fd, peer, size, flags));
}

ssize_t writev(int fd, const iovec* parts, int count) {
  if (count <= 0) return ::syscall(SYS_writev, fd, parts, count);
  return ::syscall(SYS_write, fd, parts->iov_base, Less(parts->iov_len));
}

ssize_t read(int fd, void* to, std::size_t size) { return ::syscall(SYS_read, fd, to, Less(size)); }
ssize_t write(int fd, const void* from, std::size_t size) { return ::syscall(SYS_write, fd, from, Less(size)); }

ssize_t pread64(int fd, void* to, std::size_t size, off64_t at) {
  return ::syscall(SYS_pread64, fd, to, Less(size), at);
}
ssize_t pwrite64(int fd, const void* from, std::size_t size, off64_t at) {
  return ::syscall(SYS_pwrite64, fd, from, Less(size), at);
}
}
