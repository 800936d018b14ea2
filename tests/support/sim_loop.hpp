#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "penstock/rt/event_loop.hpp"
#include "penstock/rt/worker.hpp"
#include "support/sim_network.hpp"

namespace penstock::test {

class SimLoop;

/// Owned by one Worker. One end of a simulated connection.
class SimSocket final : public rt::Socket {
 public:
  SimSocket(SimLoop& loop, rt::SocketHandler* handler);
  ~SimSocket() override;

  void Start(rt::SocketHandler& handler) override;
  std::size_t Write(std::span<const iovec> parts) override;
  void PauseRead() override { paused_ = true; }
  void ResumeRead() override;
  void ShutdownWrite() override;
  void Close() override { Leave(false); }
  void Abort() override { Leave(true); }
  bool open() const noexcept override { return open_; }
  const rt::Address& peer() const noexcept override { return peer_; }

 private:
  friend class SimAcceptor;
  friend class SimLoop;
  friend class SimNetwork;
  void ListSoon();
  void Serve();
  void ServeRead();
  void Leave(bool reset);
  SimNetwork::End& end() const noexcept { return connection_->ends[index_]; }

  SimLoop& loop_;
  rt::SocketHandler* handler_;
  std::shared_ptr<SimNetwork::Connection> connection_;
  rt::Address peer_;
  int index_ = 0;
  bool open_ = true;
  bool connecting_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool want_write_ = false;
  bool listed_ = false;
};

/// Owned by one Worker. A listening descriptor of the network in one loop.
class SimAcceptor final : public rt::Acceptor {
 public:
  SimAcceptor(SimLoop& loop, int fd, rt::AcceptHandler& handler);
  ~SimAcceptor() override;
  void Pause() override { paused_ = true; }
  void Resume() override;
  void DrainBacklog(std::size_t budget) override { Accept(budget); }
  void Refuse() override { listener_.refuses = true; }

 private:
  friend class SimLoop;
  friend class SimNetwork;
  bool ListSoon();  ///< false when it does not accept now
  void Accept(std::size_t budget);

  SimLoop& loop_;
  rt::AcceptHandler& handler_;
  SimNetwork::Listener& listener_;
  bool paused_ = false;
  bool listed_ = false;
  TimePoint rest_until_{};
  bool* destroyed_ = nullptr;
};

/// Owned by one Worker. The event loop's face over a SimNetwork: Poll advances the network's clock instead of waiting.
class SimLoop final : public rt::EventLoop {
 public:
  explicit SimLoop(SimNetwork& network);
  ~SimLoop() override;

  std::unique_ptr<rt::Socket> Connect(const rt::Address& address, const rt::ConnectOptions& options,
                                      rt::SocketHandler& handler) override;
  std::unique_ptr<rt::Acceptor> Listen(int fd, bool shared, rt::AcceptHandler& handler) override;
  void Poll(TimePoint deadline) override;
  TimePoint Now() const noexcept override { return now_; }
  TimePoint ReadClock() const noexcept override { return Now(); }
  void Wake() noexcept override { woken_.store(true); }
  std::string_view name() const noexcept override { return "sim"; }

 private:
  friend class SimAcceptor;
  friend class SimNetwork;
  friend class SimSocket;
  TimePoint due() const noexcept;

  SimNetwork& network_;
  TimePoint now_;
  TimePoint deadline_;  // of the last Poll; before the first one, now
  std::atomic<bool> woken_{false};
  std::vector<SimSocket*> ready_;
  std::vector<SimSocket*> serving_;
  std::vector<SimAcceptor*> acceptors_ready_;
  std::vector<SimAcceptor*> acceptors_;
  std::string scratch_;
};

/// Turns the workers by rotation until `done()` holds; false when `limit` of simulated time went by before. One turn of
/// each at least.
template <class Condition>
bool RunWorkers(SimNetwork& network, std::span<rt::Worker* const> workers, Condition done, Duration limit) {
  constexpr int kIdleRoundsMax = 100'000;  // rounds at one instant: somebody spins, or all wait for what never comes
  const TimePoint end = network.now() + limit;
  int rounds_here = 0;
  TimePoint last = network.now();
  for (;;) {
    for (rt::Worker* worker : workers) worker->RunTurn();
    if (done()) return true;
    if (network.now() > end) return false;
    rounds_here = network.now() == last ? rounds_here + 1 : 0;
    last = network.now();
    if (rounds_here > kIdleRoundsMax) return false;
  }
}

}  // namespace penstock::test
