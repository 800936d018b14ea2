#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "penstock/rt/worker.hpp"
#include "penstock/server/server.hpp"
#include "sim/exchange.hpp"
#include "sim/simulation.hpp"
#include "sim/slots.hpp"
#include "sim/wire_port.hpp"

namespace penstock::sim {

/// A program as a worker keeps it: with the constant bodies of sim-bytes ready to send.
struct ReadyProgram {
  NamedProgram named;
  std::uint64_t model_hash = 0;
  SharedBytes constant_json, constant_events;
};

/// One worker of the simulator: its servers, its exchanges, its caches. All but Stop() belongs to its thread.
class SimWorker final : public server::RequestSink, public WireSink {
 public:
  static constexpr std::size_t kProgramsMax = 1024;        ///< further models are parsed for every request
  static constexpr std::size_t kKeptBodyMax = 256 * 1024;  ///< a recycled exchange with a larger buffer gives it back

  SimWorker(unsigned index, Simulation& simulation);
  ~SimWorker();
  SimWorker(const SimWorker&) = delete;
  SimWorker& operator=(const SimWorker&) = delete;

  void Listen(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls);
  void ListenWire(int fd, bool shared);
  void Run() { worker_.Run(); }
  void Stop() noexcept { worker_.Stop(); }

  server::RequestHandler& OnRequest(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                    bool expect_continue, const Error* reject) override;
  server::RequestHandler& OnWireRequest(server::ResponseStream& stream, Wire& wire, http::HeadPtr head,
                                        bool body_follows, bool expect_continue, const Error* reject) override;
  void OnProtocolReject(server::Protocol, const char*) override { stats().ProtocolReject(); }
  void OnConnectionKilled(const char*) override { stats().ConnectionKilled(); }
  bool RefusesConnections() override;

  // For the exchanges.
  rt::Worker& worker() noexcept { return worker_; }
  Simulation& simulation() noexcept { return simulation_; }
  Stats& stats() noexcept { return *simulation_.stats[worker_.index()]; }
  Recorder& recorder() noexcept { return *simulation_.recorders[worker_.index()]; }
  http::HeadPool& heads() noexcept { return heads_; }
  Slots& slots() noexcept { return slots_; }
  std::uint32_t& running() noexcept { return running_; }
  std::string NextId();
  /// The program of a model; null and `error` when there is none. `own` keeps it when the cache is full.
  const ReadyProgram* Find(std::string_view model, std::unique_ptr<ReadyProgram>& own, std::string& error);
  void Recycle(Exchange& exchange);

 private:
  Exchange& Take();

  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  Simulation& simulation_;
  rt::Worker worker_;
  http::HeadPool heads_;
  Slots slots_;
  std::unordered_map<std::string, std::unique_ptr<ReadyProgram>, TextHash, std::equal_to<>> programs_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;  ///< all: as many as were ever open at once
  std::vector<Exchange*> free_;
  std::uint32_t running_ = 0;
  std::uint64_t ids_ = 0;
  server::Server server_;
  WirePorts wire_ports_;
};

}  // namespace penstock::sim
