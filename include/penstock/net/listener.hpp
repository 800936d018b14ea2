#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "penstock/base/result.hpp"
#include "penstock/rt/address.hpp"

namespace penstock::net {

/// Shared: immutable once opened; workers serve fd(), the opener (the app, a reload) keeps and closes it. A bound,
/// listening descriptor.
class ListenSocket {
 public:
  ListenSocket() noexcept = default;
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&& other) noexcept;
  ~ListenSocket();

  /// Binds and listens. TCP: SO_REUSEPORT, so that each worker has its own queue. Unix: one descriptor for all workers;
  /// a stale socket file is replaced only after a refused connect; the file goes with the socket, unless a successor
  /// has put its own in its place. The error is a line for the operator: "127.0.0.1:8080: address already in use".
  static Result<ListenSocket, std::string> Open(const rt::Address& address, bool reuse_port);

  /// Why nobody may listen there alone, in the same words; none when somebody may. For TCP addresses that will be
  /// opened with `reuse_port`, which tells nobody. Binds without listening, so no client is turned away.
  static std::optional<std::string> WhyTaken(const rt::Address& address);

  int fd() const noexcept { return fd_; }
  /// As bound: a port 0 has become the kernel's choice.
  const rt::Address& address() const noexcept { return address_; }

 private:
  int fd_ = -1;
  rt::Address address_;
  std::string unlink_path_;
  ino_t unlink_inode_ = 0;  // the file that we made; not used anew while our socket is open
};

}  // namespace penstock::net
