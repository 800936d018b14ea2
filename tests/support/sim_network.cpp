#include "support/sim_network.hpp"

#include <algorithm>
#include <cerrno>

#include "penstock/base/assert.hpp"
#include "support/sim_loop.hpp"

namespace penstock::test {
namespace {

constexpr Duration kSynTimeout = std::chrono::seconds(127);  // Linux: 6 retries

}  // namespace

int SimNetwork::OpenListener(const rt::Address& address) {
  listeners_[next_fd_].address = address;
  return next_fd_++;
}

void SimNetwork::CloseListener(int fd) {
  Listener& listener = listeners_.at(fd);
  PENSTOCK_ASSERT(listener.acceptors.empty());
  for (const auto& waiting : listener.backlog) Close(waiting, 1, true);
  listeners_.erase(fd);
}

void SimNetwork::FailAccepts(int fd, int error, int count) {
  listeners_.at(fd).fail_error = error;
  listeners_.at(fd).fail_count = count;
}

std::shared_ptr<SimNetwork::Link> SimNetwork::LinkTo(const rt::Address& server) {
  auto& link = links_[server.ToString()];
  if (link == nullptr) link = std::make_shared<Link>();
  return link;
}

void SimNetwork::SetLink(const rt::Address& server, const LinkOptions& options) {
  const auto link = LinkTo(server);
  const bool was_black = link->options.black_hole;
  link->options = options;
  if (was_black == options.black_hole) return;
  ++link->generation;
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr || connection->link != link) continue;
    if (options.black_hole) {
      WatchDeadLink(connection, 0);
      WatchDeadLink(connection, 1);
    } else {
      for (Event& event : std::exchange(connection->held, {})) Schedule(now_ + options.latency, std::move(event));
    }
  }
}

void SimNetwork::ResetConnections(const rt::Address& server) {
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (connection == nullptr || !(connection->server == server)) continue;
    for (int end = 0; end < 2; ++end) Schedule(now_, {connection, end, Kind::kReset, {}, ECONNRESET, 0});
  }
}

std::size_t SimNetwork::Connections(const rt::Address& server) const {
  return static_cast<std::size_t>(std::count_if(connections_.begin(), connections_.end(), [&](const auto& weak) {
    const auto connection = weak.lock();
    return connection != nullptr && connection->server == server &&
           (connection->ends[0].socket != nullptr || connection->ends[1].socket != nullptr);
  }));
}

void SimNetwork::Schedule(TimePoint at, Event event) {
  events_.emplace(std::pair{std::max(at, now_), ++sequence_}, std::move(event));
}

void SimNetwork::Send(const std::shared_ptr<Connection>& connection, int from, Kind kind, std::string bytes,
                      int error) {
  End& sender = connection->ends[from];
  const LinkOptions& link = connection->link->options;
  sender.wire_free = std::max(sender.wire_free, now_);
  if (link.bytes_per_second > 0) {
    sender.wire_free =
        sender.wire_free + Duration(static_cast<std::int64_t>(bytes.size() * 1'000'000'000 / link.bytes_per_second));
  }
  sender.last_arrival = std::max(sender.last_arrival, sender.wire_free + link.latency);
  Event event{connection, 1 - from, kind, std::move(bytes), error, 0};
  if (link.black_hole) {
    connection->held.push_back(std::move(event));
  } else {
    Schedule(sender.last_arrival, std::move(event));
  }
}

/// TCP_USER_TIMEOUT and keep-alive probes, in effect: an end that asked for it notices a dead link after its time.
void SimNetwork::WatchDeadLink(const std::shared_ptr<Connection>& connection, int end) {
  const Duration timeout = connection->ends[end].dead_link_timeout;
  if (timeout <= Duration::zero()) return;
  Schedule(now_ + timeout, {connection, end, Kind::kTimeout, {}, ETIMEDOUT, connection->link->generation});
}

/// Among those of the address, by chance, as the kernel spreads by hash.
SimNetwork::Listener* SimNetwork::PickListener(const rt::Address& address) {
  std::vector<Listener*> found;
  for (auto& [fd, listener] : listeners_) {
    if (listener.address == address && !listener.refuses) found.push_back(&listener);
  }
  return found.empty() ? nullptr : found[prng_.Below(found.size())];
}

std::shared_ptr<SimNetwork::Connection> SimNetwork::Connect(const rt::Address& address, Duration dead_link_timeout,
                                                            SimSocket& socket) {
  auto connection = std::make_shared<Connection>();
  connection->server = address;
  connection->client = *rt::Address::FromIp("10.0.0.1", next_port_ == 0 ? next_port_ = 1024 : next_port_++);
  connection->link = LinkTo(address);
  connection->ends[0].socket = &socket;
  connection->ends[0].dead_link_timeout = dead_link_timeout;
  std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
  connections_.push_back(connection);
  if (connection->link->options.black_hole) {
    const Duration timeout =
        dead_link_timeout > Duration::zero() ? std::min(dead_link_timeout, kSynTimeout) : kSynTimeout;
    Schedule(now_ + timeout, {connection, 0, Kind::kTimeout, {}, ETIMEDOUT, connection->link->generation});
  }
  Send(connection, 0, Kind::kArrive);
  return connection;
}

void SimNetwork::Close(const std::shared_ptr<Connection>& connection, int end, bool reset) {
  End& self = connection->ends[end];
  if (std::exchange(self.closed, true)) return;
  self.socket = nullptr;
  if (self.error != 0) return;
  // Closing with bytes unread tells the peer that they were not taken (RFC 2525 section 2.17).
  if (reset || !self.inbox.empty()) {
    Send(connection, end, Kind::kReset, {}, ECONNRESET);
  } else if (!std::exchange(self.fin_sent, true)) {
    Send(connection, end, Kind::kFin);
  }
}

void SimNetwork::Advance() {
  TimePoint next = events_.empty() ? TimePoint::Max() : events_.begin()->first.first;
  for (const SimLoop* loop : loops_) next = std::min(next, loop->due());
  if (next == TimePoint::Max()) return;  // nothing will ever happen by itself: another thread may still wake a loop
  now_ = std::max(now_, next);
  while (!events_.empty() && events_.begin()->first.first <= now_) {
    Event event = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    Apply(event);
  }
}

void SimNetwork::Apply(Event& event) {
  End& end = event.connection->ends[event.end];
  switch (event.kind) {
    case Kind::kArrive: {
      Listener* listener = PickListener(event.connection->server);
      if (listener == nullptr) {
        Send(event.connection, 1, Kind::kReset, {}, ECONNREFUSED);
        return;
      }
      Send(event.connection, 1, Kind::kConnected);
      listener->backlog.push_back(event.connection);
      AnnounceBacklog(*listener);
      return;
    }
    case Kind::kConnected: end.connected = true; break;
    case Kind::kBytes: ApplyBytes(event); break;
    case Kind::kFin: end.fin = true; break;
    case Kind::kReset: end.error = event.error; break;
    case Kind::kRoom: end.room = true; break;
    case Kind::kTimeout:
      if (!event.connection->link->options.black_hole || event.connection->link->generation != event.generation) return;
      end.error = event.error;
      break;
  }
  if (end.socket != nullptr) end.socket->ListSoon();
}

void SimNetwork::ApplyBytes(Event& event) {
  End& end = event.connection->ends[event.end];
  end.flying -= event.bytes.size();
  if (end.closed) {
    if (end.error == 0) Send(event.connection, event.end, Kind::kReset, {}, ECONNRESET);
    return;
  }
  end.inbox += event.bytes;
}

void SimNetwork::AnnounceBacklog(Listener& listener) {
  for (std::size_t i = 0; i < listener.acceptors.size(); ++i) {
    SimAcceptor* acceptor = listener.acceptors[listener.turn++ % listener.acceptors.size()];
    if (acceptor->ListSoon()) return;
  }
}

}  // namespace penstock::test
