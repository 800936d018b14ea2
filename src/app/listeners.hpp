#pragma once

#include <string>
#include <vector>

#include "penstock/base/address.hpp"
#include "penstock/base/result.hpp"
#include "penstock/net/listener.hpp"

namespace penstock::app {

/// Owned by the main thread. One configured address, bound: a descriptor for each worker where the kernel spreads
/// connections over them (SO_REUSEPORT), one for all of them on a Unix socket.
class OpenAddress {
 public:
  /// The error is a line for the operator.
  static Result<OpenAddress, std::string> Open(const SocketAddress& configured, unsigned workers);

  int fd(unsigned worker) const { return sockets_[worker % sockets_.size()].fd(); }
  bool shared() const noexcept { return shared_; }
  std::string text() const { return sockets_.front().address().ToString(); }  ///< as bound

 private:
  std::vector<net::ListenSocket> sockets_;
  bool shared_ = false;
};

}  // namespace penstock::app
