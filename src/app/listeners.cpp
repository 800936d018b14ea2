#include "app/listeners.hpp"

namespace penstock::app {

Result<OpenAddress, std::string> OpenAddress::Open(const SocketAddress& configured, unsigned workers) {
  const auto address = rt::Address::Parse(configured.ToString());
  if (!address.has_value()) return configured.ToString() + ": is no address to listen on";
  OpenAddress opened;
  opened.shared_ = address->is_unix() && workers > 1;
  const bool spread = !address->is_unix() && workers > 1;
  if (spread) {
    // SO_REUSEPORT would let a second gateway of the same user share the port with the first, unnoticed.
    if (auto taken = net::ListenSocket::WhyTaken(*address)) return std::move(*taken);
  }
  rt::Address bound = *address;
  for (unsigned i = 0; i < (spread ? workers : 1); ++i) {
    TRY(net::ListenSocket socket, net::ListenSocket::Open(bound, spread));
    bound = socket.address();
    opened.sockets_.push_back(std::move(socket));
  }
  return opened;
}

}  // namespace penstock::app
