#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "penstock/http/h2_memory.hpp"
#include "penstock/http/head.hpp"
#include "penstock/net/tls.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/options.hpp"
#include "penstock/server/request_handler.hpp"

namespace penstock::server {

class Connection;

/// Shared: a mutex. Connections by client address, for `limits.connections_per_ip`; not asked while that is off.
class AddressCount {
 public:
  /// One more from there, unless it has `most` already.
  bool Enter(const std::string& ip, std::size_t most);
  void Leave(const std::string& ip) noexcept;

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> open_;  ///< bounded by `limits.connections`
};

/// Shared: atomics and AddressCount's mutex, for all workers' servers, so that the connection limits hold for the
/// process.
struct ConnectionCount {
  std::atomic<std::size_t> open{0};
  std::atomic<std::uint64_t> accepted{0};  ///< ever
  AddressCount by_address;
};

/// Owned by one Worker. The downstream side: accepts on the worker's listening descriptors, owns the connections,
/// enforces the connection limits, drains.
class Server {
 public:
  Server(rt::Worker& worker, RequestSink& sink, ConnectionCount& count, std::shared_ptr<const Options> options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Serves a listening descriptor; `tls` null = cleartext. Returns the port's number for SetTls.
  std::size_t Listen(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls);
  /// New handshakes of that port use this certificate; running connections keep theirs.
  void SetTls(std::size_t port, std::shared_ptr<const net::TlsServerContext> tls);
  /// New connections get these limits.
  void SetOptions(std::shared_ptr<const Options> options);

  /// First step of a drain: every answer closes its HTTP/1.1 connection, HTTP/2 connections get the two-step GOAWAY;
  /// connections are still accepted.
  void BeginDrain();
  /// Second step: the accept queues are emptied, then connections are refused.
  void StopAccepting();
  /// Third step, some time later because a request may be on its way to a connection that was accepted last: closes the
  /// connections without a request. May be repeated.
  void CloseIdle();
  /// Ends everything that is still there.
  void CutAll();

  /// Under overload. `keep_alive` false: HTTP/1.1 connections close after their next answer. `accept` false: new ones
  /// stay in the kernel's queue.
  void SetPressure(bool keep_alive, bool accept);
  bool keep_alive() const noexcept { return keep_alive_; }

  std::size_t connections() const noexcept { return own_count_; }
  bool draining() const noexcept { return draining_; }

  // For connections and sessions.
  rt::Worker& worker() noexcept { return worker_; }
  RequestSink& sink() noexcept { return sink_; }
  http::HeadPool& heads() noexcept { return *heads_; }
  http::H2Memory& h2_memory() noexcept { return *h2_memory_; }

 private:
  friend class Connection;
  class Port;
  void Accepted(std::unique_ptr<rt::Socket> socket, const Port& port);
  void Gone(Connection& connection);
  bool Full() const noexcept;
  bool MayAccept() const noexcept { return accept_ && !Full(); }
  void PauseWhileFull();
  void ResumeIfRoom();

  rt::Worker& worker_;
  RequestSink& sink_;
  ConnectionCount& count_;
  std::shared_ptr<const Options> options_;
  rt::BuriedLast<http::HeadPool> heads_{worker_};
  rt::BuriedLast<http::H2Memory> h2_memory_{worker_};
  std::vector<std::unique_ptr<Port>> ports_;
  Connection* first_ = nullptr;
  std::size_t own_count_ = 0;
  bool draining_ = false;
  bool accepting_ = true;
  bool keep_alive_ = true;
  bool accept_ = true;
  bool paused_ = false;   ///< at the connection limit, or not to accept
  rt::Timer room_timer_;  ///< while paused: another worker's connection may be the one that leaves
};

}  // namespace penstock::server
