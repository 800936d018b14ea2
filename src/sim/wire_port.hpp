#pragma once

#include <memory>
#include <vector>

#include "penstock/http/h2_memory.hpp"
#include "penstock/http/head.hpp"
#include "penstock/rt/worker.hpp"
#include "penstock/server/options.hpp"
#include "penstock/server/request_handler.hpp"
#include "penstock/server/server.hpp"
#include "sim/wire.hpp"

namespace penstock::sim {

/// Where the wire ports' requests come in.
class WireSink {
 public:
  virtual server::RequestHandler& OnWireRequest(server::ResponseStream& stream, Wire& wire, http::HeadPtr head,
                                                bool body_follows, bool expect_continue, const Error* reject) = 0;
  virtual bool RefusesConnections() = 0;  ///< this new connection is to be reset at once

 protected:
  ~WireSink() = default;
};

class WireConnection;

/// Owned by one Worker. The listening side of the wire ports: connections that understand requests as any server does
/// and answer them byte for byte as told. server::Server is not bent for this: breaking HTTP is no business of
/// production code.
class WirePorts {
 public:
  WirePorts(rt::Worker& worker, WireSink& sink, server::ConnectionCount& count, const server::Options& options);
  ~WirePorts();
  WirePorts(const WirePorts&) = delete;
  WirePorts& operator=(const WirePorts&) = delete;

  void Listen(int fd, bool shared);
  void CutAll();

  // For the connections.
  rt::Worker& worker() noexcept { return worker_; }
  WireSink& sink() noexcept { return sink_; }
  http::HeadPool& heads() noexcept { return heads_; }
  http::H2Memory& h2_memory() noexcept { return h2_memory_; }
  const server::Options& options() const noexcept { return options_; }
  void Gone(WireConnection& connection);

 private:
  class Port;
  void Accepted(std::unique_ptr<rt::Socket> socket);

  rt::Worker& worker_;
  WireSink& sink_;
  server::ConnectionCount& count_;
  const server::Options options_;
  http::HeadPool heads_;
  http::H2Memory h2_memory_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<WireConnection*> connections_;
};

}  // namespace penstock::sim
