#pragma once

#include <memory>
#include <string>

#include "penstock/net/transport.hpp"
#include "sim/wire_port.hpp"

namespace penstock::sim {

/// Owned by one Worker. One protocol on a wire connection.
class WireSession {
 public:
  virtual ~WireSession() = default;
  virtual void OnData(std::string_view bytes) = 0;
  virtual void OnLost() = 0;  ///< the client left, or the connection was closed: tell the handlers
  virtual void Flush() = 0;   ///< end of a turn, or room again
};

/// Owned by one Worker. One client connection of a wire port.
class WireConnection final : public rt::Mortal, public rt::Flushable, private net::TransportHandler {
 public:
  explicit WireConnection(WirePorts& ports);
  ~WireConnection() override;

  void Accept(std::unique_ptr<rt::Socket> socket);
  void Cut();

  WirePorts& ports() noexcept { return ports_; }
  net::Transport& transport() noexcept { return transport_; }
  void FlushLater() { ports_.worker().FlushLater(*this); }
  /// Ends the connection; the session is told nothing.
  void Close();
  void Abort();
  void Flush() override;

 private:
  friend class WirePorts;
  void OnOpen() override {}
  void OnData(std::string_view bytes) override;
  void OnEnd() override;
  void OnRoom() override;
  void OnFailed(const Error& error) override;
  void Leave();

  WirePorts& ports_;
  net::Transport transport_;
  std::unique_ptr<WireSession> session_;
  std::string sniffed_;  ///< the first bytes, while they may be HTTP/2's preface
  bool left_ = false;
  std::size_t index_ = 0;  ///< in the ports' list
};

std::unique_ptr<WireSession> MakeWireH1(WireConnection& connection);
std::unique_ptr<WireSession> MakeWireH2(WireConnection& connection);

}  // namespace penstock::sim
