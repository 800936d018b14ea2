#pragma once

#include <array>
#include <memory>

#include "penstock/net/transport.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/server.hpp"
#include "server/session.hpp"

namespace penstock::server {

/// Owned by one Worker. One client connection: sniffs the protocol, then hands everything to its session. Leaves
/// through Server::Bury.
class Connection final : public rt::Mortal, public rt::Flushable, private net::TransportHandler {
 public:
  Connection(Server& server, std::shared_ptr<const Options> options);
  ~Connection() override;

  void Accept(std::unique_ptr<rt::Socket> socket, const net::TlsServerContext* tls);
  void Drain();
  void CloseIfIdle();
  void Cut();  ///< end now

  // For the session.
  Server& server() noexcept { return server_; }
  rt::Worker& worker() noexcept { return server_.worker(); }
  net::Transport& transport() noexcept { return transport_; }
  const Options& options() const noexcept { return *options_; }
  RequestSink& sink() noexcept { return server_.sink(); }
  bool draining() const noexcept { return draining_; }
  void FlushLater() { worker().FlushLater(*this); }
  void ArmTimer(Duration delay) { worker().Arm(timer_, delay); }
  void CancelTimer() { timer_.Cancel(); }
  /// Closes and goes to the grave at the end of the turn. The session is not called again.
  void Close();
  void Abort();

  void Flush() override;

 private:
  friend class Server;
  void OnOpen() override;
  void OnData(std::string_view bytes) override;
  void OnEnd() override;
  void OnRoom() override;
  void OnFailed(const Error& error) override;
  void OnTimer();
  /// Chooses the session once the first bytes tell; false: more bytes are needed.
  bool Sniff(std::string_view bytes);
  void Begin(bool http2);
  void Leave();

  Server& server_;
  std::shared_ptr<const Options> options_;
  net::Transport transport_;
  rt::Timer timer_;
  std::unique_ptr<Session> session_;
  std::array<char, 24> preface_;
  std::uint8_t preface_size_ = 0;
  bool draining_ = false;
  bool left_ = false;
  std::string counted_ip_;      // under connections_per_ip
  Connection* next_ = nullptr;  // the server's list
  Connection** link_ = nullptr;
};

}  // namespace penstock::server
