#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/server/server.hpp"
#include "sim/options.hpp"
#include "sim/prefix_cache.hpp"
#include "sim/program.hpp"
#include "sim/stats.hpp"

namespace penstock::sim {

/// A program with the name it was read from.
struct NamedProgram {
  std::string name;
  Program program;
};

/// Shared: a mutex around a small map, asked only for programs with times= or every=. How often each was asked for.
class Strikes {
 public:
  static constexpr std::size_t kNamesMax = 4096;  ///< further names always strike

  bool Next(const NamedProgram& named);
  void Clear();

 private:
  std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> asked_;
};

/// Shared: constant options, atomics, and members that lock themselves. What all workers of one simulator have in
/// common.
class Simulation {
 public:
  explicit Simulation(SimOptions simulated);

  const SimOptions options;
  const KindTraits& traits;
  PrefixCache prefixes;
  Strikes strikes;
  server::ConnectionCount connections;
  std::vector<std::unique_ptr<Stats>> stats;         ///< one per worker
  std::vector<std::unique_ptr<Recorder>> recorders;  ///< one per worker

  std::atomic<bool> ready{true};
  std::atomic<std::uint32_t> health_ms{0};  ///< how long the health paths take to answer

  /// The program that answers everything whatever the model; null = the model decides.
  const NamedProgram* everything() const noexcept { return everything_.load(std::memory_order_acquire); }
  /// Empty text = the model decides again. The error is a line for the caller.
  std::optional<std::string> SetEverything(std::string_view program);

 private:
  std::atomic<const NamedProgram*> everything_{nullptr};
  std::mutex mutex_;
  std::vector<std::unique_ptr<const NamedProgram>> kept_;  ///< requests may still play one that was replaced
};

/// The bodies of GET /sim/stats, /sim/last and /metrics.
std::string StatsJson(Simulation& simulation);
std::string LastRequestsJson(Simulation& simulation);
std::string MetricsText(Simulation& simulation);

}  // namespace penstock::sim
