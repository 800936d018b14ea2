#include "penstock/server/server.hpp"

#include "server/connection.hpp"

namespace penstock::server {
namespace {

constexpr std::size_t kBacklogDrained = 4096;  // accept queue left at the end of a drain's delay
constexpr Duration kLookForRoom = std::chrono::milliseconds(50);

}  // namespace

/// One listening descriptor as this worker serves it.
class Server::Port final : public rt::AcceptHandler {
 public:
  Port(Server& server, int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls)
      : server_(server), tls_(std::move(tls)), acceptor_(server.worker().loop().Listen(fd, shared, *this)) {}

  void OnAccept(std::unique_ptr<rt::Socket> socket) override { server_.Accepted(std::move(socket), *this); }
  void OnAcceptError(int) override { server_.sink().OnConnectionKilled("accept_failed"); }

  rt::Acceptor& acceptor() noexcept { return *acceptor_; }
  void Stop() noexcept { acceptor_.reset(); }
  const std::shared_ptr<const net::TlsServerContext>& tls() const noexcept { return tls_; }
  void set_tls(std::shared_ptr<const net::TlsServerContext> tls) noexcept { tls_ = std::move(tls); }

 private:
  Server& server_;
  std::shared_ptr<const net::TlsServerContext> tls_;
  std::unique_ptr<rt::Acceptor> acceptor_;
};

bool AddressCount::Enter(const std::string& ip, std::size_t most) {
  const std::lock_guard lock(mutex_);
  std::size_t& open = open_[ip];
  if (open >= most) return false;
  ++open;
  return true;
}

void AddressCount::Leave(const std::string& ip) noexcept {
  const std::lock_guard lock(mutex_);
  const auto held = open_.find(ip);
  if (held != open_.end() && --held->second == 0) open_.erase(held);
}

Server::Server(rt::Worker& worker, RequestSink& sink, ConnectionCount& count, std::shared_ptr<const Options> options)
    : worker_(worker), sink_(sink), count_(count), options_(std::move(options)), room_timer_(this, [](void* self) {
        static_cast<Server*>(self)->ResumeIfRoom();
      }) {}

Server::~Server() { CutAll(); }

std::size_t Server::Listen(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls) {
  ports_.push_back(std::make_unique<Port>(*this, fd, shared, std::move(tls)));
  return ports_.size() - 1;
}

void Server::SetTls(std::size_t port, std::shared_ptr<const net::TlsServerContext> tls) {
  ports_[port]->set_tls(std::move(tls));
}

bool Server::Full() const noexcept { return count_.open.load(std::memory_order_relaxed) >= options_->connections; }

void Server::Accepted(std::unique_ptr<rt::Socket> socket, const Port& port) {
  std::string counted_ip;
  if (options_->connections_per_ip != 0) {
    counted_ip = socket->peer().ip();
    if (!count_.by_address.Enter(counted_ip, options_->connections_per_ip)) {
      sink_.OnConnectionKilled("connections_per_ip");
      return;
    }
  }
  count_.accepted.fetch_add(1, std::memory_order_relaxed);
  auto* connection = new Connection(*this, options_);
  connection->counted_ip_ = std::move(counted_ip);
  connection->next_ = first_;
  connection->link_ = &first_;
  if (first_ != nullptr) first_->link_ = &connection->next_;
  first_ = connection;
  ++own_count_;
  count_.open.fetch_add(1, std::memory_order_relaxed);
  PauseWhileFull();
  connection->Accept(std::move(socket), port.tls().get());
  if (draining_) connection->Drain();
}

void Server::Gone(Connection& connection) {
  *connection.link_ = connection.next_;
  if (connection.next_ != nullptr) connection.next_->link_ = connection.link_;
  --own_count_;
  count_.open.fetch_sub(1, std::memory_order_relaxed);
  if (!connection.counted_ip_.empty()) count_.by_address.Leave(connection.counted_ip_);
  ResumeIfRoom();
}

/// The kernel's queue holds the next ones until somebody leaves.
void Server::PauseWhileFull() {
  if (MayAccept() || !accepting_ || paused_) return;
  paused_ = true;
  for (auto& each : ports_) each->acceptor().Pause();
  worker_.Arm(room_timer_, kLookForRoom);
}

void Server::ResumeIfRoom() {
  if (!paused_ || !accepting_) return;
  if (!MayAccept()) {
    worker_.Arm(room_timer_, kLookForRoom);
    return;
  }
  paused_ = false;
  room_timer_.Cancel();
  for (auto& each : ports_) each->acceptor().Resume();
}

void Server::SetPressure(bool keep_alive, bool accept) {
  keep_alive_ = keep_alive;
  accept_ = accept;
  PauseWhileFull();
  ResumeIfRoom();
}

void Server::SetOptions(std::shared_ptr<const Options> options) {
  options_ = std::move(options);
  ResumeIfRoom();
}

void Server::BeginDrain() {
  draining_ = true;
  for (Connection* connection = first_; connection != nullptr;) {
    Connection* next = connection->next_;
    connection->Drain();
    connection = next;
  }
}

void Server::StopAccepting() {
  if (!accepting_) return;
  accepting_ = false;  // before the queues are emptied: who is in them is past the limit on connections
  for (auto& port : ports_) {
    port->acceptor().DrainBacklog(kBacklogDrained);
    port->acceptor().Refuse();
    port->acceptor().DrainBacklog(kBacklogDrained);  // of a Unix socket, whose queue outlives the refusal
  }
  room_timer_.Cancel();
  for (auto& port : ports_) port->Stop();
}

void Server::CloseIdle() {
  for (Connection* connection = first_; connection != nullptr;) {
    Connection* next = connection->next_;
    connection->CloseIfIdle();
    connection = next;
  }
}

void Server::CutAll() {
  while (first_ != nullptr) first_->Cut();
}

}  // namespace penstock::server
