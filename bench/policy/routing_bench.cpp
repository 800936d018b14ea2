// The routing decision: first candidate, then the lease. Budget: 1 us with 100 endpoints.
#include <benchmark/benchmark.h>

#include <deque>
#include <string>
#include <vector>

#include "penstock/policy/balancer.hpp"
#include "penstock/policy/retry_rules.hpp"

namespace penstock::policy {
namespace {

constexpr TimePoint kNow{1'000'000'000};

struct Kind {
  const char* name;
  bool loaded = false;      ///< with requests under way, samples, and a key
  std::uint32_t zones = 1;  ///< ranks of distance
  bool ill = false;         ///< half of the near ones are unusable, so the farther ones are looked at
};

void Route(benchmark::State& state, const BalancerRow& row, const Kind& kind) {
  const auto endpoints = static_cast<std::uint32_t>(state.range(0));
  std::deque<EndpointLoad> loads;
  std::vector<EndpointView> views;
  std::vector<LoadLease> held;
  Prng prng(1);
  for (std::uint32_t i = 0; i < endpoints; ++i) {
    EndpointView& view = views.emplace_back();
    view.load = &loads.emplace_back();
    view.weight = 1 + i % 2;
    if (kind.loaded) loads.back().latency().Observe(kNow, std::chrono::milliseconds(100 + i));
    view.zone_rank = i % kind.zones;
    loads.back().SetUsable(!kind.ill || view.zone_rank != 0 || i / kind.zones % 2 == 0, kNow);
    const std::uint64_t in_flight = kind.loaded ? prng.Below(16) : 0;
    for (std::uint64_t n = 0; n < in_flight; ++n) held.push_back(loads.back().TryLease(0).value());
  }
  const auto balancer = MakeZoned(row, views, prng);
  std::uint64_t checksum = 0;
  for (auto _ : state) {
    PickContext context{prng, kNow};
    if (kind.loaded) context.hash = prng.Next();
    Candidates candidates(*balancer, context);
    const std::uint32_t pick = *candidates.Next();
    const auto lease = loads[pick].TryLease(256);
    checksum += pick;
    benchmark::DoNotOptimize(lease);
  }
  state.counters["checksum"] = static_cast<double>(checksum % 1000);
}

void DecideARetry(benchmark::State& state) {
  const RetryRules rules;
  AttemptFailure failure{UpstreamError(ErrorCode::kUpstreamStatus, Retry::kSafe, ""), 503};
  for (auto _ : state) {
    benchmark::DoNotOptimize(failure);
    benchmark::DoNotOptimize(DecideRetry(rules, {}, failure));
  }
}
BENCHMARK(DecideARetry);

void Register(const BalancerRow& row, const Kind& kind) {
  const std::string name = "Route/" + std::string(row.name) + "/" + kind.name;
  benchmark::RegisterBenchmark(name.c_str(), [&row, kind](benchmark::State& state) { Route(state, row, kind); })
      ->Arg(8)
      ->Arg(100);
}

const int kRegistered = [] {
  for (const BalancerRow& row : Balancers()) {
    Register(row, {.name = "idle"});
    Register(row, {.name = "loaded", .loaded = true});
    Register(row, {.name = "zones", .loaded = true, .zones = 3});
    Register(row, {.name = "zones_ill", .loaded = true, .zones = 3, .ill = true});
  }
  return 0;
}();

}  // namespace
}  // namespace penstock::policy
