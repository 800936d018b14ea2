#include "sim/sim_worker.hpp"

#include <cstdio>

#include "sim/plain_answer.hpp"
#include "sim/token_text.hpp"

namespace penstock::sim {
namespace {

/// A fault backend does not defend itself: the gateway under test may cancel, ping and wait as much as it likes.
server::Options Unlimited(const SimOptions& sim) {
  constexpr http::H2Limits::Bucket kNever{1e12, 1e12};
  constexpr Duration kLong = std::chrono::hours(24);
  server::Options options;
  options.h1.body = kAnswerBytesMax;
  options.h1.header_bytes = 256 * 1024;
  options.h1.header_count = 1000;
  options.h1.uri = 64 * 1024;
  options.h2.max_concurrent_streams = sim.max_streams;
  options.h2.stream_window = 256 * 1024;
  options.h2.connection_window = 16 * 1024 * 1024;
  options.h2.header_bytes = options.h1.header_bytes;
  options.h2.header_count = options.h1.header_count;
  options.h2.uri = options.h1.uri;
  options.h2.resets_received = options.h2.resets_sent = options.h2.glitches = options.h2.pings = options.h2.settings =
      kNever;
  options.h2.control_frames_queued = 1'000'000;
  options.body_timeout = options.slow_reader_timeout = kLong;
  options.body_min_rate = 0;
  options.idle_timeout = options.idle_timeout_h2 = std::chrono::milliseconds(sim.idle_ms);
  options.connections = 1'000'000;
  return options;
}

std::unique_ptr<ReadyProgram> Prepare(std::string_view model, Program program) {
  auto ready = std::make_unique<ReadyProgram>();
  ready->named.name = model;
  ready->named.program = std::move(program);
  ready->model_hash = HashBytes(model, 0);
  if (const std::uint64_t bytes = ready->named.program.constant_bytes; bytes != 0) {
    std::string escaped;
    AppendEscaped(escaped, model);
    ready->constant_json = SharedBytes::Copy(ConstantAnswer(escaped, false, bytes));
    ready->constant_events = SharedBytes::Copy(ConstantAnswer(escaped, true, bytes));
  }
  return ready;
}

}  // namespace

SimWorker::SimWorker(unsigned index, Simulation& simulation)
    : simulation_(simulation),
      worker_(index, rt::MakeEpollLoop(), Mix(index)),
      slots_(simulation.options.slots),
      server_(worker_, *this, simulation.connections,
              std::make_shared<const server::Options>(Unlimited(simulation.options))),
      wire_ports_(worker_, *this, simulation.connections, Unlimited(simulation.options)) {}

SimWorker::~SimWorker() {
  server_.StopAccepting();
  server_.CloseIdle();
  server_.CutAll();
  wire_ports_.CutAll();
  worker_.Post([] {});  // a turn that need not wait
  worker_.RunTurn();    // the cut connections are buried before what they refer to goes
  recorder().ReleaseHeads();
}

void SimWorker::Listen(int fd, bool shared, std::shared_ptr<const net::TlsServerContext> tls) {
  server_.Listen(fd, shared, std::move(tls));
}
void SimWorker::ListenWire(int fd, bool shared) { wire_ports_.Listen(fd, shared); }

server::RequestHandler& SimWorker::OnRequest(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                             bool expect_continue, const Error* reject) {
  Exchange& exchange = Take();
  exchange.Open(stream, nullptr, std::move(head), body_follows, expect_continue, reject);
  return exchange;
}

server::RequestHandler& SimWorker::OnWireRequest(server::ResponseStream& stream, Wire& wire, http::HeadPtr head,
                                                 bool body_follows, bool expect_continue, const Error* reject) {
  Exchange& exchange = Take();
  exchange.Open(stream, &wire, std::move(head), body_follows, expect_continue, reject);
  return exchange;
}

bool SimWorker::RefusesConnections() {
  const NamedProgram* everything = simulation_.everything();
  return everything != nullptr && everything->program.script == "refuse" && simulation_.strikes.Next(*everything);
}

std::string SimWorker::NextId() {
  char text[16];
  const std::uint64_t id = Mix(++ids_ ^ (static_cast<std::uint64_t>(worker_.index()) << 48));
  const int size = std::snprintf(text, sizeof text, "%014llx", static_cast<unsigned long long>(id >> 8));
  return {text, static_cast<std::size_t>(size)};
}

const ReadyProgram* SimWorker::Find(std::string_view model, std::unique_ptr<ReadyProgram>& own, std::string& error) {
  if (const auto known = programs_.find(model); known != programs_.end()) return known->second.get();
  auto program = ParseProgram(model);
  // The server's own name is a model of the plausible pace; some kinds take any name for it.
  const bool plausible =
      model == simulation_.options.name ||
      (simulation_.traits.serves_any_model && !model.starts_with("sim") && !model.starts_with("fault"));
  if (!program && plausible) program = ParseProgram("sim");
  if (!program) {
    error = program.error();
    return nullptr;
  }
  std::unique_ptr<ReadyProgram> ready = Prepare(model, std::move(*program));
  if (programs_.size() < kProgramsMax)
    return programs_.emplace(std::string(model), std::move(ready)).first->second.get();
  own = std::move(ready);
  return own.get();
}

Exchange& SimWorker::Take() {
  if (free_.empty()) {
    exchanges_.push_back(std::make_unique<Exchange>(*this));
    return *exchanges_.back();
  }
  Exchange* exchange = free_.back();
  free_.pop_back();
  return *exchange;
}

void SimWorker::Recycle(Exchange& exchange) { free_.push_back(&exchange); }

}  // namespace penstock::sim
