#include "sim/wire_port.hpp"

#include "sim/wire_connection.hpp"

namespace penstock::sim {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

class WirePorts::Port final : public rt::AcceptHandler {
 public:
  Port(WirePorts& ports, int fd, bool shared)
      : ports_(ports), acceptor_(ports.worker().loop().Listen(fd, shared, *this)) {}
  void OnAccept(std::unique_ptr<rt::Socket> socket) override { ports_.Accepted(std::move(socket)); }
  void OnAcceptError(int) override {}

 private:
  WirePorts& ports_;
  std::unique_ptr<rt::Acceptor> acceptor_;
};

WirePorts::WirePorts(rt::Worker& worker, WireSink& sink, server::ConnectionCount& count, const server::Options& options)
    : worker_(worker), sink_(sink), count_(count), options_(options) {}

WirePorts::~WirePorts() = default;

void WirePorts::Listen(int fd, bool shared) { ports_.push_back(std::make_unique<Port>(*this, fd, shared)); }

void WirePorts::CutAll() {
  ports_.clear();
  while (!connections_.empty()) connections_.back()->Cut();
}

void WirePorts::Accepted(std::unique_ptr<rt::Socket> socket) {
  count_.accepted.fetch_add(1, std::memory_order_relaxed);
  if (sink_.RefusesConnections()) {
    socket->Abort();
    return;
  }
  count_.open.fetch_add(1, std::memory_order_relaxed);
  auto* connection = new WireConnection(*this);
  connection->index_ = connections_.size();
  connections_.push_back(connection);
  connection->Accept(std::move(socket));
}

void WirePorts::Gone(WireConnection& connection) {
  count_.open.fetch_sub(1, std::memory_order_relaxed);
  connections_.back()->index_ = connection.index_;
  std::swap(connections_[connection.index_], connections_.back());
  connections_.pop_back();
}

// --- WireConnection ---

WireConnection::WireConnection(WirePorts& ports) : ports_(ports), transport_(ports.worker(), *this) {}
WireConnection::~WireConnection() = default;

void WireConnection::Accept(std::unique_ptr<rt::Socket> socket) { transport_.Accept(std::move(socket), nullptr); }

void WireConnection::OnData(std::string_view bytes) {
  if (left_) return;
  if (session_ != nullptr) {
    session_->OnData(bytes);
    return;
  }
  sniffed_.append(bytes);
  const std::string_view first = std::string_view(sniffed_).substr(0, kPreface.size());
  const bool http2 = kPreface.starts_with(first);
  if (http2 && first.size() < kPreface.size()) return;
  session_ = http2 ? MakeWireH2(*this) : MakeWireH1(*this);
  const std::string waiting = std::move(sniffed_);
  session_->OnData(waiting);
}

void WireConnection::OnEnd() {
  if (left_) return;
  transport_.Close();
  Leave();
  if (session_ != nullptr) session_->OnLost();
}

void WireConnection::OnRoom() { Flush(); }

void WireConnection::OnFailed(const Error&) {
  if (left_) return;
  Leave();
  if (session_ != nullptr) session_->OnLost();
}

void WireConnection::Flush() {
  if (!left_ && session_ != nullptr) session_->Flush();
}

void WireConnection::Cut() {
  transport_.Close();
  Leave();
  if (session_ != nullptr) session_->OnLost();
}

void WireConnection::Close() {
  if (left_) return;
  transport_.Close();
  Leave();
}

void WireConnection::Abort() {
  if (left_) return;
  transport_.Abort();
  Leave();
}

void WireConnection::Leave() {
  left_ = true;
  ports_.Gone(*this);
  ports_.worker().Bury(std::unique_ptr<rt::Mortal>(this));
}

}  // namespace penstock::sim
