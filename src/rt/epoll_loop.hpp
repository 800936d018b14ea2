#pragma once

#include <sys/epoll.h>

#include <array>
#include <memory>
#include <vector>

#include "penstock/rt/event_loop.hpp"

namespace penstock::rt {

constexpr int kEventsPerTurn = 256;
constexpr std::size_t kAcceptsPerTurn = 64;
constexpr Duration kAcceptRest = std::chrono::milliseconds(100);  // FAULTS P-06: no spin when descriptors run out

class EpollLoop;

/// Owned by one Worker. Anything registered in the epoll set.
class Watched {
 public:
  virtual void OnEvents(std::uint32_t events) = 0;

 protected:
  ~Watched() = default;
};

/// Owned by one Worker. Edge-triggered: `readable_` and `want_write_` remember the edges between calls.
class EpollSocket final : public Socket, public Watched {
 public:
  EpollSocket(EpollLoop& loop, int fd, const Address& peer, bool connecting) noexcept
      : loop_(loop), fd_(fd), connecting_(connecting), peer_(peer) {}
  ~EpollSocket() override;

  void Start(SocketHandler& handler) override;
  std::size_t Write(std::span<const iovec> parts) override;
  void PauseRead() override { paused_ = true; }
  void ResumeRead() override;
  void ShutdownWrite() override;
  void Close() override;
  void Abort() override;
  bool open() const noexcept override { return fd_ >= 0; }
  const Address& peer() const noexcept override { return peer_; }

  void OnEvents(std::uint32_t events) override;
  void ReadAvailable();
  void FailLater(int error);

 private:
  friend class EpollLoop;
  void FinishConnect();
  void DeliverFailure();
  int TakeError() const noexcept;
  bool wants_service() const noexcept;

  EpollLoop& loop_;
  SocketHandler* handler_ = nullptr;
  int fd_;
  int failure_ = 0;  // an error to be delivered outside the call that met it
  bool connecting_;
  bool paused_ = false;
  bool readable_ = false;    // edge seen, not yet read to its end
  bool peer_ended_ = false;  // FIN or reset seen: reads must go on until they say so
  bool errored_ = false;     // EPOLLERR seen
  bool ended_ = false;       // OnEnd was delivered
  bool want_write_ = false;
  bool listed_ = false;  // in the loop's ready list
  Address peer_;
};

/// Owned by one Worker. Level-triggered, so that what a turn's budget leaves comes again.
class EpollAcceptor final : public Acceptor, public Watched {
 public:
  EpollAcceptor(EpollLoop& loop, int fd, bool shared, AcceptHandler& handler);
  ~EpollAcceptor() override;
  void Pause() override;
  void Resume() override;
  void DrainBacklog(std::size_t budget) override { AcceptUpTo(budget); }
  void Refuse() override;
  void OnEvents(std::uint32_t) override { AcceptUpTo(kAcceptsPerTurn); }

 private:
  friend class EpollLoop;
  void AcceptUpTo(std::size_t budget);
  void Rest();
  void Watch();

  EpollLoop& loop_;
  AcceptHandler& handler_;
  int fd_;
  bool shared_;
  bool paused_ = false;   // by the owner
  bool resting_ = false;  // by itself, until rest_until_
  bool watched_ = false;
  bool* destroyed_ = nullptr;  // set while accepting: OnAccept may destroy the acceptor
  TimePoint rest_until_{};
};

/// Owned by one Worker.
class EpollLoop final : public EventLoop {
 public:
  EpollLoop();
  ~EpollLoop() override;

  std::unique_ptr<Socket> Connect(const Address& address, const ConnectOptions& options,
                                  SocketHandler& handler) override;
  std::unique_ptr<Acceptor> Listen(int fd, bool shared, AcceptHandler& handler) override {
    return std::make_unique<EpollAcceptor>(*this, fd, shared, handler);
  }
  void Poll(TimePoint deadline) override;
  TimePoint Now() const noexcept override { return now_; }
  TimePoint ReadClock() const noexcept override { return ReadMonotonicClock(); }
  void Wake() noexcept override;
  std::string_view name() const noexcept override { return "epoll"; }

  /// 0 or errno: the kernel limits watches per user.
  int Watch(int fd, Watched* watched, std::uint32_t events) noexcept;
  /// Takes a descriptor out of the set. One that is closed next leaves by itself: DropEvents is enough then.
  void Forget(int fd, Watched* watched) noexcept;
  void DropEvents(Watched* watched) noexcept;
  void ReadSoon(EpollSocket* socket);
  void DropReady(EpollSocket* socket) noexcept;
  void AddResting(EpollAcceptor* acceptor) { resting_.push_back(acceptor); }
  void DropResting(EpollAcceptor* acceptor) noexcept { std::erase(resting_, acceptor); }
  std::span<char> scratch() noexcept { return {scratch_.get(), EventLoop::kReadBytesMax}; }

 private:
  int WaitMilliseconds(TimePoint deadline) const noexcept;
  void ServeReady();
  void WakeAcceptors();

  int epoll_;
  int wake_;
  TimePoint now_;
  std::unique_ptr<char[]> scratch_{new char[EventLoop::kReadBytesMax]};
  std::array<epoll_event, kEventsPerTurn> events_;
  int event_count_ = 0;
  int event_index_ = 0;
  std::vector<EpollSocket*> ready_;    // sockets with bytes left after their turn, resumed ones, failed ones
  std::vector<EpollSocket*> serving_;  // ready_ of the turn being served
  std::vector<EpollAcceptor*> resting_;
};

}  // namespace penstock::rt
