#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"
#include "penstock/rt/address.hpp"

namespace penstock::test {

class SimAcceptor;
class SimLoop;
class SimSocket;

/// How the way to a server behaves, and what goes wrong on it.
struct LinkOptions {
  Duration latency = std::chrono::microseconds(50);  ///< one way
  std::uint64_t bytes_per_second = 0;                ///< each way and connection; 0 = no limit
  std::size_t window_bytes = 256 * 1024;             ///< sent and not yet read by the far application
  double short_write = 0;                            ///< probability that a Write takes less than would go
  double split_read = 0;                             ///< probability that a read delivers less than is there
  std::uint64_t reset_after_bytes = 0;  ///< both ends of a connection see a reset once it carried so many; 0 = never
  bool black_hole = false;              ///< nothing arrives, nobody is told; what is sent arrives after the link heals
};

/// A clock and a network of byte streams in memory, for all SimLoops made with it, in one thread. Deterministic: the
/// same seed and the same calls give the same events at the same times.
///
/// Time goes on inside the loops' Poll, from one event or deadline of any loop to the next, never past one: so all
/// workers on one network must be turned by rotation (RunWorkers does it).
class SimNetwork {
 public:
  explicit SimNetwork(std::uint64_t seed) : prng_(seed) {}
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  TimePoint now() const noexcept { return now_; }

  /// A listening descriptor for SimLoop::Listen. Several on one address share its connections as SO_REUSEPORT does.
  int OpenListener(const rt::Address& address);
  /// Who waits in its backlog is reset.
  void CloseListener(int fd);
  /// The next `count` accepts fail with `error`, as when descriptors run out.
  void FailAccepts(int fd, int error, int count);

  /// For connections to `server`, those that stand included.
  void SetLink(const rt::Address& server, const LinkOptions& options);
  /// Resets every connection to `server`, as a crashed host does when it is back.
  void ResetConnections(const rt::Address& server);
  /// Connections to `server` that at least one end holds open.
  std::size_t Connections(const rt::Address& server) const;

 private:
  friend class SimAcceptor;
  friend class SimLoop;
  friend class SimSocket;

  struct Link {
    LinkOptions options;
    std::uint64_t generation = 0;  // of the black hole
  };
  struct Connection;
  /// What one end of a connection knows.
  struct End {
    SimSocket* socket = nullptr;  // null before accept and after close
    std::string inbox;            // arrived, not read
    std::size_t flying = 0;       // on the way here
    bool closed = false;
    bool connected = false;
    bool fin = false;
    bool fin_sent = false;
    bool room = false;  // the far end has read since a short write
    int error = 0;
    TimePoint wire_free{};     // when the last byte sent from here has left
    TimePoint last_arrival{};  // of what was sent from here: the order is kept
    Duration dead_link_timeout{};
  };
  enum class Kind : std::uint8_t { kArrive, kConnected, kBytes, kFin, kReset, kRoom, kTimeout };
  struct Event {
    std::shared_ptr<Connection> connection;
    int end = 0;  // at which it happens
    Kind kind = Kind::kBytes;
    std::string bytes;
    int error = 0;
    std::uint64_t generation = 0;
  };
  struct Connection {
    End ends[2];  // client, server
    std::shared_ptr<Link> link;
    rt::Address server;
    rt::Address client;
    std::uint64_t sent = 0;
    bool reset_drawn = false;
    std::vector<Event> held;  // by a black hole
  };
  struct Listener {
    rt::Address address;
    std::vector<SimAcceptor*> acceptors;
    std::deque<std::shared_ptr<Connection>> backlog;
    std::size_t turn = 0;
    int fail_error = 0;
    int fail_count = 0;
    bool refuses = false;  ///< Acceptor::Refuse
  };

  std::shared_ptr<Connection> Connect(const rt::Address& address, Duration dead_link_timeout, SimSocket& socket);
  std::shared_ptr<Link> LinkTo(const rt::Address& server);
  Listener* PickListener(const rt::Address& address);
  void Schedule(TimePoint at, Event event);
  /// Sends something from one end to the other, behind all that was sent before.
  void Send(const std::shared_ptr<Connection>& connection, int from, Kind kind, std::string bytes = {}, int error = 0);
  void WatchDeadLink(const std::shared_ptr<Connection>& connection, int end);
  void Close(const std::shared_ptr<Connection>& connection, int end, bool reset);
  /// To the next event or deadline; applies what happens then.
  void Advance();
  void Apply(Event& event);
  void ApplyBytes(Event& event);
  void AnnounceBacklog(Listener& listener);

  Prng prng_;
  TimePoint now_{1'000'000'000};
  std::uint64_t sequence_ = 0;
  int next_fd_ = 1 << 20;  // no real descriptor is as high
  std::uint16_t next_port_ = 1024;
  std::map<std::pair<TimePoint, std::uint64_t>, Event> events_;
  std::map<int, Listener> listeners_;
  std::map<std::string, std::shared_ptr<Link>> links_;
  std::vector<std::weak_ptr<Connection>> connections_;
  std::vector<SimLoop*> loops_;
};

}  // namespace penstock::test
