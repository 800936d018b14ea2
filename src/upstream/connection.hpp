#pragma once

#include <memory>

#include "penstock/net/transport.hpp"
#include "penstock/upstream/connection_pool.hpp"
#include "upstream/client_session.hpp"

namespace penstock::upstream {

/// Owned by one Worker. One connection to an endpoint: connects, then hands everything to its session. Leaves its pool
/// through Bury.
class Connection final : public rt::Mortal, public rt::Flushable, private net::TransportHandler {
 public:
  explicit Connection(ConnectionPool& pool);
  ~Connection() override;

  void Connect(const rt::Address& address);
  bool connecting() const noexcept { return session_ == nullptr; }
  ClientSession* session() noexcept { return session_.get(); }
  const ClientSession* session() const noexcept { return session_.get(); }

  // For sessions.
  ConnectionPool& pool() noexcept { return *pool_; }
  rt::Worker& worker() noexcept { return worker_; }
  net::Transport& transport() noexcept { return transport_; }
  const PoolOptions& options() const noexcept { return pool_->options_; }
  void FlushLater() { worker_.FlushLater(*this); }
  void ArmTimer(Duration delay) { worker_.Arm(timer_, delay); }
  void CancelTimer() { timer_.Cancel(); }
  bool left() const noexcept { return left_; }
  /// Closes and goes to the grave at the end of the turn; streams that run are the session's affair.
  void Close();
  /// The pool goes first: whatever happens now is nobody's business.
  void Orphan();

  void Flush() override;

 private:
  friend class ConnectionPool;
  void OnOpen() override;
  void OnData(std::string_view bytes) override;
  void OnEnd() override;
  void OnRoom() override;
  void OnFailed(const Error& error) override;
  void OnTimer();
  void Leave();

  ConnectionPool* pool_;
  rt::Worker& worker_;
  net::Transport transport_;
  rt::Timer timer_;
  std::unique_ptr<ClientSession> session_;
  TimePoint began_{};
  bool left_ = false;
  bool listed_ = false;  ///< in the pool's ready list
};

}  // namespace penstock::upstream
