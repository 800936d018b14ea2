#include "support/sim_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace penstock::test {
namespace {

constexpr std::size_t kAcceptsPerTurn = 64;
constexpr Duration kAcceptRest = std::chrono::milliseconds(100);
constexpr Duration kRetryShortWrite = std::chrono::microseconds(20);

}  // namespace

// --- SimSocket ---

SimSocket::SimSocket(SimLoop& loop, rt::SocketHandler* handler) : loop_(loop), handler_(handler) {}

SimSocket::~SimSocket() {
  Leave(false);
  if (listed_) {
    std::replace(loop_.ready_.begin(), loop_.ready_.end(), this, static_cast<SimSocket*>(nullptr));
    std::replace(loop_.serving_.begin(), loop_.serving_.end(), this, static_cast<SimSocket*>(nullptr));
  }
}

void SimSocket::Start(rt::SocketHandler& handler) {
  handler_ = &handler;
  ListSoon();
}

void SimSocket::ListSoon() {
  if (std::exchange(listed_, true)) return;
  loop_.ready_.push_back(this);
}

std::size_t SimSocket::Write(std::span<const iovec> parts) {
  if (!open_ || connecting_ || end().error != 0) return 0;
  std::size_t offered = 0;
  for (const iovec& part : parts) offered += part.iov_len;
  SimNetwork& network = loop_.network_;
  const LinkOptions& link = connection_->link->options;
  SimNetwork::End& far = connection_->ends[1 - index_];
  const std::size_t used = far.inbox.size() + far.flying;
  const std::size_t room = link.window_bytes > used ? link.window_bytes - used : 0;
  const std::size_t possible = std::min(offered, room);
  std::size_t taken = possible;
  if (taken > 0 && network.prng_.Uniform() < link.short_write) taken = network.prng_.Below(taken);
  want_write_ = taken < offered;
  if (taken < possible)
    network.Schedule(network.now() + kRetryShortWrite, {connection_, index_, SimNetwork::Kind::kRoom, {}, 0, 0});
  if (taken == 0) return 0;
  std::string bytes;
  for (const iovec& part : parts)
    bytes.append(static_cast<const char*>(part.iov_base), std::min(part.iov_len, taken - bytes.size()));
  far.flying += taken;
  network.Send(connection_, index_, SimNetwork::Kind::kBytes, std::move(bytes));
  connection_->sent += taken;
  if (link.reset_after_bytes > 0 && connection_->sent >= link.reset_after_bytes &&
      !std::exchange(connection_->reset_drawn, true)) {
    network.Send(connection_, index_, SimNetwork::Kind::kReset, {}, ECONNRESET);
    network.Send(connection_, 1 - index_, SimNetwork::Kind::kReset, {}, ECONNRESET);
  }
  return taken;
}

void SimSocket::ResumeRead() {
  paused_ = false;
  if (open_) ListSoon();
}

void SimSocket::ShutdownWrite() {
  if (!open_ || connecting_ || std::exchange(end().fin_sent, true)) return;
  loop_.network_.Send(connection_, index_, SimNetwork::Kind::kFin);
}

void SimSocket::Leave(bool reset) {
  if (!std::exchange(open_, false)) return;
  loop_.network_.Close(connection_, index_, reset);
}

/// One call of the handler, which may destroy this socket: whatever comes next is served from the list.
void SimSocket::Serve() {
  if (!open_ || handler_ == nullptr) return;
  SimNetwork::End& self = end();
  const bool reads = !connecting_ && !paused_ && !ended_ && !self.inbox.empty();
  if (self.error != 0 && !reads && !(self.fin && !ended_ && !paused_ && !connecting_)) {
    const int error = self.error;
    rt::SocketHandler* handler = handler_;
    Leave(false);
    handler->OnError(error);
    return;
  }
  if (connecting_) {
    if (!self.connected) return;
    connecting_ = false;
    ListSoon();
    handler_->OnConnected();
  } else if (self.room && want_write_) {
    self.room = want_write_ = false;
    ListSoon();
    handler_->OnWritable();
  } else if (reads) {
    ServeRead();
  } else if (self.fin && !ended_ && !paused_) {
    ended_ = true;
    ListSoon();
    handler_->OnEnd();
  }
}

void SimSocket::ServeRead() {
  SimNetwork::End& self = end();
  SimNetwork& network = loop_.network_;
  std::size_t size = std::min(self.inbox.size(), rt::EventLoop::kReadBytesMax);
  if (network.prng_.Uniform() < connection_->link->options.split_read) size = 1 + network.prng_.Below(size);
  loop_.scratch_ = self.inbox.substr(0, size);
  self.inbox.erase(0, size);
  const SimSocket* far = connection_->ends[1 - index_].socket;
  if (far != nullptr && far->want_write_) network.Send(connection_, index_, SimNetwork::Kind::kRoom);
  ListSoon();
  handler_->OnRead(loop_.scratch_);
}

// --- SimAcceptor ---

SimAcceptor::SimAcceptor(SimLoop& loop, int fd, rt::AcceptHandler& handler)
    : loop_(loop), handler_(handler), listener_(loop.network_.listeners_.at(fd)) {
  listener_.acceptors.push_back(this);
  loop_.acceptors_.push_back(this);
  ListSoon();
}

SimAcceptor::~SimAcceptor() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  std::erase(listener_.acceptors, this);
  std::erase(loop_.acceptors_, this);
  std::replace(loop_.acceptors_ready_.begin(), loop_.acceptors_ready_.end(), this, static_cast<SimAcceptor*>(nullptr));
}

void SimAcceptor::Resume() {
  paused_ = false;
  ListSoon();
}

bool SimAcceptor::ListSoon() {
  if (paused_ || rest_until_ > loop_.network_.now()) return false;
  if (!std::exchange(listed_, true)) loop_.acceptors_ready_.push_back(this);
  return true;
}

void SimAcceptor::Accept(std::size_t budget) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  const bool was_paused = paused_;
  for (; budget > 0 && !listener_.backlog.empty(); --budget) {
    if (listener_.fail_count > 0) {
      --listener_.fail_count;
      destroyed_ = nullptr;
      rest_until_ = loop_.network_.now() + kAcceptRest;
      handler_.OnAcceptError(listener_.fail_error);
      return;
    }
    auto socket = std::make_unique<SimSocket>(loop_, nullptr);
    socket->connection_ = std::move(listener_.backlog.front());
    listener_.backlog.pop_front();
    socket->index_ = 1;
    socket->peer_ = socket->connection_->client;
    socket->end().socket = socket.get();
    handler_.OnAccept(std::move(socket));
    if (destroyed) return;
    if (paused_ && !was_paused) break;
  }
  destroyed_ = nullptr;
  if (!listener_.backlog.empty()) ListSoon();
}

// --- SimLoop ---

SimLoop::SimLoop(SimNetwork& network) : network_(network), now_(network.now()), deadline_(network.now()) {
  network_.loops_.push_back(this);
}

SimLoop::~SimLoop() { std::erase(network_.loops_, this); }

TimePoint SimLoop::due() const noexcept {
  if (woken_.load() || !ready_.empty() || !acceptors_ready_.empty()) return network_.now();
  TimePoint next = deadline_;
  for (const SimAcceptor* acceptor : acceptors_) {
    if (acceptor->rest_until_ > network_.now()) next = std::min(next, acceptor->rest_until_);
  }
  return next;
}

std::unique_ptr<rt::Socket> SimLoop::Connect(const rt::Address& address, const rt::ConnectOptions& options,
                                             rt::SocketHandler& handler) {
  auto socket = std::make_unique<SimSocket>(*this, &handler);
  socket->connecting_ = true;
  socket->peer_ = address;
  socket->connection_ = network_.Connect(address, options.dead_link_timeout, *socket);
  return socket;
}

std::unique_ptr<rt::Acceptor> SimLoop::Listen(int fd, bool, rt::AcceptHandler& handler) {
  return std::make_unique<SimAcceptor>(*this, fd, handler);
}

void SimLoop::Poll(TimePoint deadline) {
  deadline_ = deadline;
  network_.Advance();
  woken_.store(false);
  now_ = network_.now();
  for (SimAcceptor* acceptor : acceptors_) {
    if (acceptor->rest_until_ != TimePoint{} && acceptor->rest_until_ <= now_) {
      acceptor->rest_until_ = TimePoint{};
      acceptor->ListSoon();
    }
  }
  for (std::size_t i = 0; i < acceptors_ready_.size(); ++i) {
    SimAcceptor* acceptor = acceptors_ready_[i];
    if (acceptor == nullptr) continue;
    acceptors_ready_[i] = nullptr;
    acceptor->listed_ = false;
    if (!acceptor->paused_ && acceptor->rest_until_ <= now_) acceptor->Accept(kAcceptsPerTurn);
  }
  std::erase(acceptors_ready_, nullptr);
  serving_.swap(ready_);
  for (std::size_t i = 0; i < serving_.size(); ++i) {
    SimSocket* socket = serving_[i];
    if (socket == nullptr) continue;
    serving_[i] = nullptr;
    socket->listed_ = false;
    socket->Serve();
  }
  serving_.clear();
}

}  // namespace penstock::test
