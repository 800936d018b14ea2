#include "penstock/upstream/connection_pool.hpp"

#include <algorithm>

#include "penstock/base/assert.hpp"
#include "upstream/connection.hpp"

namespace penstock::upstream {
namespace {

constexpr Duration kCalmMin = std::chrono::milliseconds(100);
constexpr Duration kCalmMax = std::chrono::seconds(5);
constexpr Duration kCalmMemory =
    std::chrono::seconds(60);  // a peer that was content for so long is asked anew after kCalmMin
constexpr Duration kReopenDelay = std::chrono::seconds(1);  // between tries to hold `min` connections

}  // namespace

ConnectionPool::ConnectionPool(rt::Worker& worker, http::HeadPool& heads, http::H2Memory& memory, PoolOptions options,
                               PoolEvents& events)
    : worker_(worker),
      heads_(heads),
      memory_(memory),
      options_(std::move(options)),
      events_(events),
      http2_seen_(options_.protocol == PoolProtocol::kHttp2),
      pump_timer_(this, [](void* self) { static_cast<ConnectionPool*>(self)->Pump(); }),
      calm_timer_(this, [](void* self) { static_cast<ConnectionPool*>(self)->Pump(); }) {}

ConnectionPool::~ConnectionPool() {
  PENSTOCK_ASSERT(waiting_count_ == 0);
  for (Connection* connection : connections_) connection->Orphan();
}

void ConnectionPool::SetAddresses(std::vector<rt::Address> addresses) {
  const auto offered = [&addresses](const rt::Address& address) {
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  };
  // Connections to addresses that are no longer named finish what they do and are not used again.
  for (std::size_t i = connections_.size(); i > 0; --i) {
    Connection* connection = connections_[i - 1];
    if (offered(connection->transport().peer())) continue;
    if (connection->session() != nullptr) {
      connection->session()->Retire();
    } else {
      connection->Close();
    }
  }
  addresses_ = std::move(addresses);
  resolved_ = true;
  next_address_ = addresses_.empty() ? 0 : worker_.prng().Below(addresses_.size());
  PumpSoon();
}

void ConnectionPool::SetQuirks(Duration idle_timeout, bool reuse_after_chunked) {
  options_.idle_timeout = idle_timeout;
  options_.reuse_after_chunked = reuse_after_chunked;
  for (Connection* connection : connections_) {
    if (connection->session() != nullptr && connection->session()->idle()) connection->session()->OnIdle();
  }
}

void ConnectionPool::Submit(Stream& stream, const Request& request) {
  PENSTOCK_ASSERT(stream.pool_ == nullptr);
  stream.request_ = request;
  stream.pool_ = this;
  stream.session_ = nullptr;
  stream.replaced_ = false;
  stream.paused_ = false;
  stream.Rewind();
  Enqueue(stream, false);
  if (waiting_count_ > kWaitersMax || (resolved_ && addresses_.empty())) {
    // Told from the next turn: never from inside Submit.
    PumpSoon();
    return;
  }
  if (first_waiting_ == &stream) Pump(&stream);
}

void ConnectionPool::Replace(Stream& stream) {
  stream.replaced_ = true;
  stream.session_ = nullptr;
  stream.Rewind();
  // Other idle connections are likely as dead as this one: they were opened by the same peer at the same time.
  for (std::size_t i = connections_.size(); i > 0; --i) {
    Connection* connection = connections_[i - 1];
    if (connection->session() != nullptr && connection->session()->idle()) connection->Close();
  }
  if (!stream.handler_->MayBeSentNow()) return Withdraw(stream);
  Enqueue(stream, true);
  PumpSoon();
}

void ConnectionPool::Withdraw(Stream& stream) {
  stream.Detach();
  stream.handler_->OnFailed(UpstreamError(ErrorCode::kUpstreamReset, Retry::kIfUnprocessed,
                                          "the endpoint was to be left alone before the request was sent"));
}

void ConnectionPool::Enqueue(Stream& stream, bool front) noexcept {
  stream.next_ = front ? first_waiting_ : nullptr;
  stream.previous_ = front ? nullptr : last_waiting_;
  if (stream.next_ != nullptr) stream.next_->previous_ = &stream;
  if (stream.previous_ != nullptr) stream.previous_->next_ = &stream;
  if (front || first_waiting_ == nullptr) first_waiting_ = &stream;
  if (!front || last_waiting_ == nullptr) last_waiting_ = &stream;
  ++waiting_count_;
}

void ConnectionPool::Unlink(Stream& stream) noexcept {
  (stream.previous_ == nullptr ? first_waiting_ : stream.previous_->next_) = stream.next_;
  (stream.next_ == nullptr ? last_waiting_ : stream.next_->previous_) = stream.previous_;
  stream.next_ = stream.previous_ = nullptr;
  --waiting_count_;
}

std::size_t ConnectionPool::StreamsPerConnection() const noexcept { return http2_seen_ ? options_.max_streams : 1; }

void ConnectionPool::PumpSoon() { worker_.FlushLater(pump_); }

void ConnectionPool::Ready(Connection& connection) {
  if (retired_ && waiting_count_ == 0) {
    connection.session()->Retire();
    return;
  }
  if (!connection.listed_) {
    connection.listed_ = true;
    ready_.push_back(&connection);
  }
  if (waiting_count_ > 0) PumpSoon();
}

void ConnectionPool::Pump(const Stream* fresh) {
  if (!resolved_) return;
  if (waiting_count_ > 0 && addresses_.empty()) {
    FailWaiting(waiting_count_,
                UpstreamError(ErrorCode::kUpstreamDns, Retry::kIfUnprocessed, "the endpoint's name has no address"));
    return;
  }
  if (waiting_count_ > kWaitersMax) {
    FailWaiting(waiting_count_ - kWaitersMax,
                InternalError(ErrorCode::kOverloaded, "too many requests wait for a connection"));
  }
  // The most recently used first: the few that are needed stay warm, the others reach their idle timeout.
  while (first_waiting_ != nullptr && !ready_.empty()) {
    Connection& connection = *ready_.back();
    ClientSession* session = connection.session();
    if (session->room() == 0) {
      connection.listed_ = false;
      ready_.pop_back();
      continue;
    }
    Stream& stream = *first_waiting_;
    Unlink(stream);
    if (&stream != fresh && !stream.handler_->MayBeSentNow()) {
      Withdraw(stream);
      continue;
    }
    session->Start(stream);
    if (connection.listed_ && session->room() == 0) {
      connection.listed_ = false;
      std::erase(ready_, &connection);
    }
  }
  if (calm_timer_.armed()) return;
  const std::size_t wanted = (waiting_count_ + StreamsPerConnection() - 1) / StreamsPerConnection();
  while (connecting_ < wanted && connections_.size() < options_.max) Open();
  if (addresses_.empty() || pump_timer_.armed()) return;
  while (connections_.size() < options_.min) Open();
}

void ConnectionPool::CalmDown() {
  if (calm_timer_.armed()) return;  // another connection of the same crowd
  const bool forgotten = worker_.Now() - calm_since_ > kCalmMemory;
  calm_delay_ = forgotten ? kCalmMin : std::clamp(2 * calm_delay_, kCalmMin, kCalmMax);
  calm_since_ = worker_.Now();
  worker_.Arm(calm_timer_, calm_delay_);
}

void ConnectionPool::Open() {
  auto* connection = new Connection(*this);
  connections_.push_back(connection);
  ++connecting_;
  connection->Connect(addresses_[next_address_++ % addresses_.size()]);
}

void ConnectionPool::Connected(Connection& connection) {
  --connecting_;
  Ready(connection);
  Pump();
  // Opened in vain: it waits as one that was used.
  if (connection.session()->idle() && !connection.left()) connection.session()->OnIdle();
  CancelSurplusConnects();
}

void ConnectionPool::Failed(Connection&, const Error& error) {
  events_.OnConnectFailed(error);
  // The streams that this connection was opened for fail; others may still be served.
  const std::size_t served = connecting_ * StreamsPerConnection();
  const std::size_t orphaned = waiting_count_ > served ? waiting_count_ - served : 0;
  FailWaiting(std::min(orphaned, StreamsPerConnection()), error);
  PumpSoon();
}

void ConnectionPool::FailWaiting(std::size_t count, const Error& error) {
  for (; count > 0 && first_waiting_ != nullptr; --count) {
    Stream& stream = *first_waiting_;
    Unlink(stream);
    stream.Detach();
    stream.handler_->OnFailed(error);
  }
}

void ConnectionPool::Gone(Connection& connection) noexcept {
  if (connection.connecting()) --connecting_;
  std::erase(connections_, &connection);
  if (connection.listed_) std::erase(ready_, &connection);
  if (waiting_count_ > 0) PumpSoon();
  // Not at once: a peer that refuses or closes everything must not be asked in a loop.
  if (connections_.size() < options_.min && !pump_timer_.armed()) worker_.Arm(pump_timer_, kReopenDelay);
}

/// Waiters left: connections that nobody waits for need not be finished (FAULTS C-04).
void ConnectionPool::CancelSurplusConnects() {
  const std::size_t wanted = (waiting_count_ + StreamsPerConnection() - 1) / StreamsPerConnection();
  for (std::size_t i = connections_.size(); i > 0 && connecting_ > wanted && connections_.size() > options_.min; --i) {
    Connection* connection = connections_[i - 1];
    if (connection->connecting()) connection->Close();
  }
}

void ConnectionPool::Retire() {
  retired_ = true;
  options_.min = 0;
  pump_timer_.Cancel();
  Renew();
}

void ConnectionPool::Renew() {
  for (std::size_t i = connections_.size(); i > 0; --i) {
    Connection* connection = connections_[i - 1];
    if (connection->session() != nullptr) connection->session()->Retire();
  }
}

PoolCounts ConnectionPool::counts() const noexcept {
  PoolCounts counts;
  for (const Connection* connection : connections_) {
    if (connection->connecting()) {
      ++counts.connecting;
    } else if (connection->session()->idle()) {
      ++counts.idle;
    } else {
      ++counts.active;
    }
  }
  return counts;
}

}  // namespace penstock::upstream
