#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <utility>
#include <vector>

#include "penstock/base/assert.hpp"
#include "penstock/rt/event_loop.hpp"

namespace penstock::rt {
namespace {

constexpr int kEventsPerTurn = 256;
constexpr std::size_t kAcceptsPerTurn = 64;
constexpr Duration kAcceptRest = std::chrono::milliseconds(100);  // FAULTS P-06: no spin when descriptors run out

class EpollLoop;

/// Anything registered in the epoll set.
class Watched {
 public:
  virtual void OnEvents(std::uint32_t events) = 0;

 protected:
  ~Watched() = default;
};

class EpollSocket final : public Socket, public Watched {
 public:
  EpollSocket(EpollLoop& loop, int fd, const Address& peer, bool connecting) noexcept
      : loop_(loop), fd_(fd), connecting_(connecting), peer_(peer) {}
  ~EpollSocket() override;

  void Start(SocketHandler& handler) override;
  std::size_t Write(std::span<const iovec> parts) override;
  void PauseRead() override { paused_ = true; }
  void ResumeRead() override;
  void ShutdownWrite() override {
    if (fd_ >= 0) ::shutdown(fd_, SHUT_WR);
  }
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
  int failure_ = 0;          // an error to be delivered outside the call that met it
  bool connecting_;
  bool paused_ = false;
  bool readable_ = false;    // edge seen, not yet read to its end
  bool peer_ended_ = false;  // FIN or reset seen: reads must go on until they say so
  bool errored_ = false;     // EPOLLERR seen
  bool ended_ = false;       // OnEnd was delivered
  bool want_write_ = false;
  bool listed_ = false;      // in the loop's ready list
  Address peer_;
};

class EpollAcceptor final : public Acceptor, public Watched {
 public:
  EpollAcceptor(EpollLoop& loop, int fd, bool shared, AcceptHandler& handler);
  ~EpollAcceptor() override;
  void Pause() override;
  void Resume() override;
  void DrainBacklog(std::size_t budget) override { AcceptUpTo(budget); }
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

class EpollLoop final : public EventLoop {
 public:
  EpollLoop();
  ~EpollLoop() override;

  std::unique_ptr<Socket> Connect(const Address& address, const ConnectOptions& options, SocketHandler& handler) override;
  std::unique_ptr<Acceptor> Listen(int fd, bool shared, AcceptHandler& handler) override {
    return std::make_unique<EpollAcceptor>(*this, fd, shared, handler);
  }
  void Poll(TimePoint deadline) override;
  TimePoint Now() const noexcept override { return now_; }
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

// --- EpollSocket ---

EpollSocket::~EpollSocket() {
  Close();
  loop_.DropReady(this);  // one that never had a descriptor may still have a failure to tell
}

void EpollSocket::Start(SocketHandler& handler) {
  handler_ = &handler;
  const int error = loop_.Watch(fd_, this, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  if (error != 0) FailLater(error);
}

std::size_t EpollSocket::Write(std::span<const iovec> parts) {
  if (fd_ < 0 || connecting_ || failure_ != 0) return 0;
  std::size_t offered = 0;
  for (const iovec& part : parts) offered += part.iov_len;
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  ssize_t n = 0;
  do {
    n = parts.size() == 1 ? ::send(fd_, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL) : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK) {
      FailLater(errno);
      return 0;
    }
    n = 0;
  }
  want_write_ = static_cast<std::size_t>(n) < offered;
  return static_cast<std::size_t>(n);
}

void EpollSocket::ResumeRead() {
  if (!paused_) return;
  paused_ = false;
  if (wants_service()) loop_.ReadSoon(this);
}

bool EpollSocket::wants_service() const noexcept {
  return failure_ != 0 || (!connecting_ && !paused_ && !ended_ && (readable_ || peer_ended_));
}

void EpollSocket::Close() {
  if (fd_ < 0) return;
  loop_.DropEvents(this);
  loop_.DropReady(this);
  ::close(fd_);
  fd_ = -1;
}

void EpollSocket::Abort() {
  if (fd_ < 0) return;
  const linger reset{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  Close();
}

void EpollSocket::FailLater(int error) {
  if (failure_ != 0) return;
  failure_ = error;
  loop_.ReadSoon(this);
}

void EpollSocket::DeliverFailure() {
  const int error = failure_;
  SocketHandler* handler = handler_;
  Close();
  if (handler != nullptr) handler->OnError(error);
}

int EpollSocket::TakeError() const noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

void EpollSocket::FinishConnect() {
  connecting_ = false;
  failure_ = TakeError();
  if (failure_ != 0) {
    DeliverFailure();
    return;
  }
  if (wants_service()) loop_.ReadSoon(this);
  handler_->OnConnected();
}

void EpollSocket::OnEvents(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  // After a FIN or a reset, reads go on until they say so: what the peer sent before it is still delivered first.
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) peer_ended_ = true;
  if ((events & EPOLLERR) != 0) errored_ = true;
  if (failure_ != 0) return;  // listed: told from there
  if (connecting_) {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) FinishConnect();
    return;
  }
  // Nobody reads: paused, or the peer had ended before. A reset must be told all the same.
  if ((paused_ || ended_) && (events & EPOLLERR) != 0) {
    const int error = TakeError();
    failure_ = error == 0 ? ECONNRESET : error;
    DeliverFailure();
    return;
  }
  if ((events & EPOLLOUT) != 0 && want_write_) {
    want_write_ = false;
    if (wants_service()) loop_.ReadSoon(this);  // the handler may destroy this socket: read from the list
    handler_->OnWritable();
    return;
  }
  if (readable_ && !paused_ && !ended_) ReadAvailable();
}

/// One read. A short one ends the edge unless the peer's FIN was announced (epoll(7)): no second read just to learn
/// that there is nothing. After a full one the socket comes back from the ready list, when the others had their turn.
/// With a failed write behind it (failure_) a socket is read to its end, an answer sent before a reset, and then told.
void EpollSocket::ReadAvailable() {
  const std::span<char> scratch = loop_.scratch();
  ssize_t n = 0;
  do {
    n = ::recv(fd_, scratch.data(), scratch.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    const auto size = static_cast<std::size_t>(n);
    if (size < scratch.size() && !peer_ended_ && failure_ == 0) {
      readable_ = false;
    } else {
      loop_.ReadSoon(this);
    }
    handler_->OnRead({scratch.data(), size});
    return;
  }
  readable_ = false;
  if (failure_ != 0) {
    DeliverFailure();
  } else if (n == 0) {
    ended_ = true;
    if (errored_) FailLater(ECONNRESET);  // the FIN came first, the reset in the same edge
    handler_->OnEnd();
  } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
    failure_ = errno;
    DeliverFailure();
  }
}

// --- EpollAcceptor ---

EpollAcceptor::EpollAcceptor(EpollLoop& loop, int fd, bool shared, AcceptHandler& handler)
    : loop_(loop), handler_(handler), fd_(fd), shared_(shared) {
  Watch();
}

EpollAcceptor::~EpollAcceptor() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  Pause();
  loop_.DropResting(this);
}

void EpollAcceptor::Pause() {
  paused_ = true;
  if (watched_) loop_.Forget(fd_, this);
  watched_ = false;
}

void EpollAcceptor::Resume() {
  paused_ = false;
  if (!resting_) Watch();
}

void EpollAcceptor::Watch() {
  if (watched_ || paused_) return;
  watched_ = loop_.Watch(fd_, this, EPOLLIN | (shared_ ? static_cast<std::uint32_t>(EPOLLEXCLUSIVE) : 0u)) == 0;
  if (!watched_) Rest();
}

void EpollAcceptor::Rest() {
  if (watched_) loop_.Forget(fd_, this);
  watched_ = false;
  rest_until_ = loop_.Now() + kAcceptRest;
  if (!std::exchange(resting_, true)) loop_.AddResting(this);
}

void EpollAcceptor::AcceptUpTo(std::size_t budget) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  for (std::size_t i = 0; i < budget; ++i) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const int fd = ::accept4(fd_, reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      const int error = errno;
      destroyed_ = nullptr;
      Rest();
      handler_.OnAcceptError(error);
      return;
    }
    if (storage.ss_family != AF_UNIX) {
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    const Address peer(reinterpret_cast<const sockaddr*>(&storage), size);
    const bool was_paused = paused_;
    handler_.OnAccept(std::make_unique<EpollSocket>(loop_, fd, peer, false));
    if (destroyed) return;
    if (paused_ && !was_paused) break;
  }
  destroyed_ = nullptr;
}

// --- EpollLoop ---

EpollLoop::EpollLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), now_(ReadMonotonicClock()) {
  PENSTOCK_ASSERT(epoll_ >= 0 && wake_ >= 0);
  PENSTOCK_ASSERT(Watch(wake_, nullptr, EPOLLIN | EPOLLET) == 0);
}

EpollLoop::~EpollLoop() {
  ::close(wake_);
  ::close(epoll_);
}

int EpollLoop::Watch(int fd, Watched* watched, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.ptr = watched;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

void EpollLoop::Forget(int fd, Watched* watched) noexcept {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  DropEvents(watched);
}

/// Events of this turn that were not served yet must not reach what is gone.
void EpollLoop::DropEvents(Watched* watched) noexcept {
  for (int i = event_index_; i < event_count_; ++i) {
    if (events_[static_cast<std::size_t>(i)].data.ptr == watched) events_[static_cast<std::size_t>(i)].events = 0;
  }
}

void EpollLoop::ReadSoon(EpollSocket* socket) {
  if (socket->listed_) return;
  socket->listed_ = true;
  ready_.push_back(socket);
}

void EpollLoop::DropReady(EpollSocket* socket) noexcept {
  if (!socket->listed_) return;
  socket->listed_ = false;
  std::replace(ready_.begin(), ready_.end(), socket, static_cast<EpollSocket*>(nullptr));
  std::replace(serving_.begin(), serving_.end(), socket, static_cast<EpollSocket*>(nullptr));
}

void EpollLoop::Wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
}

int EpollLoop::WaitMilliseconds(TimePoint deadline) const noexcept {
  if (!ready_.empty()) return 0;
  TimePoint until = deadline;
  for (const EpollAcceptor* acceptor : resting_) until = std::min(until, acceptor->rest_until_);
  if (until == TimePoint::Max()) return -1;
  // now_ is as old as the last turn was long: a timer may be late by that much, which spares a clock read per turn.
  const Duration left = until - now_;
  if (left <= Duration::zero()) return 0;
  const std::int64_t milliseconds = (left.count() + 999'999) / 1'000'000;
  return static_cast<int>(std::min<std::int64_t>(milliseconds, INT_MAX));
}

void EpollLoop::Poll(TimePoint deadline) {
  const int n = ::epoll_wait(epoll_, events_.data(), kEventsPerTurn, WaitMilliseconds(deadline));
  now_ = ReadMonotonicClock();
  event_count_ = std::max(n, 0);
  for (event_index_ = 0; event_index_ < event_count_;) {
    const epoll_event event = events_[static_cast<std::size_t>(event_index_++)];
    if (event.events == 0) continue;
    if (event.data.ptr == nullptr) {
      std::uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
      continue;
    }
    static_cast<Watched*>(event.data.ptr)->OnEvents(event.events);
  }
  event_count_ = 0;
  ServeReady();
  if (!resting_.empty()) WakeAcceptors();
}

/// One more share for each socket that was left with bytes; those that fill it again come back next turn.
void EpollLoop::ServeReady() {
  if (ready_.empty()) return;
  serving_.swap(ready_);
  for (std::size_t i = 0; i < serving_.size(); ++i) {
    EpollSocket* socket = serving_[i];
    if (socket == nullptr) continue;
    socket->listed_ = false;
    serving_[i] = nullptr;
    if (!socket->wants_service()) continue;
    // A failed write does not eat what the peer had sent; nobody reads a paused or ended socket, so that is told at once.
    const bool readable = socket->fd_ >= 0 && !socket->connecting_ && !socket->paused_ && !socket->ended_;
    if (readable) {
      socket->ReadAvailable();
    } else {
      socket->DeliverFailure();
    }
  }
  serving_.clear();
}

void EpollLoop::WakeAcceptors() {
  std::vector<EpollAcceptor*> rested;
  std::erase_if(resting_, [&](EpollAcceptor* acceptor) {
    if (acceptor->rest_until_ > now_) return false;
    rested.push_back(acceptor);
    return true;
  });
  for (EpollAcceptor* acceptor : rested) {
    acceptor->resting_ = false;
    acceptor->Watch();
  }
}

std::unique_ptr<Socket> EpollLoop::Connect(const Address& address, const ConnectOptions& options, SocketHandler& handler) {
  const int fd = ::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto socket = std::make_unique<EpollSocket>(*this, fd, address, true);
  if (fd < 0) {
    // No descriptor: the error is delivered from the ready list like any other.
    socket->handler_ = &handler;
    socket->FailLater(errno);
    return socket;
  }
  if (!address.is_unix()) {
    const int on = 1;
    if (options.no_delay) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.dead_link_timeout > Duration::zero()) {
      const auto milliseconds = static_cast<unsigned>(options.dead_link_timeout.count() / 1'000'000);
      const int seconds = std::max(1, static_cast<int>(milliseconds / 3000));
      ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
      ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
      ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
    }
  }
  if (::connect(fd, address.get(), address.size()) < 0 && errno != EINPROGRESS) {
    socket->handler_ = &handler;
    socket->FailLater(errno);
    return socket;
  }
  socket->Start(handler);
  return socket;
}

}  // namespace

std::unique_ptr<EventLoop> MakeEpollLoop() { return std::make_unique<EpollLoop>(); }

}  // namespace penstock::rt
