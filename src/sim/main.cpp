#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "penstock/base/standard_descriptors.hpp"
#include "penstock/net/listener.hpp"
#include "penstock/net/tls.hpp"
#include "sim/sim_worker.hpp"

namespace penstock::sim {
namespace {

constexpr std::uint32_t kTgiConcurrent = 128;  // text-generation-inference's own default
constexpr unsigned kWorkersMax = 256;

struct Usage {
  SimOptions options;
  int exit_code = -1;  ///< not negative: nothing more to do
};

Usage ReadCommandLine(int argc, char** argv) {
  Usage usage;
  SimOptions& sim = usage.options;
  std::string kind = "vllm";
  std::vector<std::string> tls;
  CLI::App app{"A simulated LLM server and fault backend: the model's name programs the answer (docs/simulator.md)",
               "penstock-sim"};
  app.add_option("--listen", sim.listen,
                 "IP:PORT or unix:PATH to serve on, HTTP/1.1 and h2c; port 0 = any; may be repeated");
  app.add_option("--wire-listen", sim.wire_listen, "the same for a port whose answers may break HTTP");
  app.add_option("--name", sim.name, "the server's name, also a model that answers at a plausible pace")
      ->capture_default_str();
  app.add_option("--kind", kind, "which server is imitated")
      ->check(CLI::IsMember({"vllm", "sglang", "tgi", "llamacpp", "triton", "ollama", "openai"}))
      ->capture_default_str();
  app.add_option("--workers", sim.workers, "threads")->check(CLI::Range(1u, kWorkersMax))->capture_default_str();
  app.add_option("--tls", tls, "certificate and private key (PEM files) for --listen")->expected(2);
  app.add_option("--max-streams", sim.max_streams, "HTTP/2 streams per connection at once")->capture_default_str();
  app.add_option("--slots", sim.slots,
                 "requests generated at once, others wait in order; 0 = no limit; wants one worker")
      ->capture_default_str();
  app.add_option("--max-concurrent", sim.max_concurrent,
                 "requests per worker before the kind's overload answer; 0 = no limit");
  app.add_option("--prefill-us-per-token", sim.prefill_us_per_token,
                 "time the model `sim` takes for a prompt token that is not cached")
      ->capture_default_str();
  app.add_option("--cache-blocks", sim.cache_blocks, "prompt cache, blocks of 16 tokens")
      ->check(CLI::Range(1u, 100'000'000u))
      ->capture_default_str();
  app.add_option("--comment-ms", sim.comment_ms, "`:` comments in silent streams; 0 = none")->capture_default_str();
  app.add_option("--embedding-dimensions", sim.embedding_dimensions, "numbers per embedding")
      ->check(CLI::Range(1u, 65'536u))
      ->capture_default_str();
  app.add_option("--idle-ms", sim.idle_ms, "idle connections are closed after this")->capture_default_str();
  app.add_option("--record", sim.recorded, "last requests kept for /sim/last, per worker")
      ->check(CLI::Range(0u, 65'536u))
      ->capture_default_str();
  app.add_option("--program", sim.program, "answer everything by this program, whatever model is asked for");
  app.add_flag("!--no-prefill", sim.prefill, "refuse requests whose last message is the assistant's");
  app.add_flag("--not-ready", sim.not_ready, "health says not ready until POST /sim/set?ready=1");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    usage.exit_code = app.exit(error) == 0 ? 0 : 2;
    return usage;
  }
  sim.kind = *ParseKind(kind);
  if (tls.size() == 2) {
    sim.certificate = tls[0];
    sim.private_key = tls[1];
  }
  if (sim.kind == Kind::kTgi && app.count("--max-concurrent") == 0) sim.max_concurrent = kTgiConcurrent;
  if (sim.listen.empty() && sim.wire_listen.empty()) sim.listen.push_back("127.0.0.1:8000");
  if (sim.slots != 0 && sim.workers != 1) {
    std::fprintf(stderr, "penstock-sim: --slots wants --workers 1\n");
    usage.exit_code = 2;
  }
  return usage;
}

/// The open-file limit goes up to what the system allows: ten thousand streams may be ten thousand connections.
void RaiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int Complain(const std::string& text) {
  std::fprintf(stderr, "penstock-sim: %s\n", text.c_str());
  return 1;
}

/// One worker's descriptor for one address: its own where the kernel spreads connections (SO_REUSEPORT), else the
/// first's.
struct Opened {
  std::vector<std::vector<net::ListenSocket>> per_worker;
  std::string line;  ///< what is printed: the address as bound

  static Result<Opened, std::string> Open(const std::string& text, unsigned workers) {
    const auto address = rt::Address::Parse(text);
    if (!address) return "--listen " + text + ": no IP:PORT and no unix:PATH";
    Opened opened;
    rt::Address bound = *address;
    const unsigned sockets = address->is_unix() ? 1 : workers;
    for (unsigned i = 0; i < sockets; ++i) {
      TRY(net::ListenSocket socket, net::ListenSocket::Open(bound, workers > 1));
      bound = socket.address();
      opened.per_worker.emplace_back();
      opened.per_worker.back().push_back(std::move(socket));
    }
    opened.line = bound.ToString();
    return opened;
  }
  int fd(unsigned worker) const { return per_worker[worker % per_worker.size()].front().fd(); }
  bool shared() const { return per_worker.size() == 1; }
};

int Serve(SimOptions options) {
  Simulation simulation(std::move(options));
  const SimOptions& sim = simulation.options;
  if (const auto error = simulation.SetEverything(sim.program)) return Complain("--program: " + *error);
  std::shared_ptr<const net::TlsServerContext> tls;
  if (!sim.certificate.empty()) {
    auto made =
        net::TlsServerContext::Make({.certificate = sim.certificate, .private_key = sim.private_key, .client_ca = {}});
    if (!made) return Complain(made.error());
    tls = std::move(*made);
  }
  std::vector<Opened> ports, wire_ports;
  for (const auto& [texts, opened] : {std::pair{&sim.listen, &ports}, std::pair{&sim.wire_listen, &wire_ports}}) {
    for (const std::string& text : *texts) {
      auto port = Opened::Open(text, sim.workers);
      if (!port) return Complain(port.error());
      opened->push_back(std::move(*port));
    }
  }
  std::vector<std::unique_ptr<SimWorker>> workers;
  for (unsigned i = 0; i < sim.workers; ++i) {
    workers.push_back(std::make_unique<SimWorker>(i, simulation));
    for (const Opened& port : ports) workers.back()->Listen(port.fd(i), port.shared(), tls);
    for (const Opened& port : wire_ports) workers.back()->ListenWire(port.fd(i), port.shared());
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::vector<std::thread> threads;
  threads.reserve(workers.size());
  for (const auto& worker : workers) threads.emplace_back([&worker] { worker->Run(); });
  std::string line = "penstock-sim " + sim.name + " (" + std::string(simulation.traits.name) + ") listening on";
  for (const Opened& port : ports) line += " " + port.line;
  for (const Opened& port : wire_ports) line += " wire:" + port.line;
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  for (const auto& worker : workers) worker->Stop();
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace penstock::sim

int main(int argc, char** argv) {
  penstock::OpenStandardDescriptors();
  std::signal(SIGPIPE, SIG_IGN);
  penstock::sim::Usage usage = penstock::sim::ReadCommandLine(argc, argv);
  if (usage.exit_code >= 0) return usage.exit_code;
  penstock::sim::RaiseFileLimit();
  return penstock::sim::Serve(std::move(usage.options));
}
