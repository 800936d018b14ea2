// The routing decision: first candidate, then the lease. Budget: 1 us with 100 endpoints.
#include <benchmark/benchmark.h>

#include <deque>
#include <vector>

#include "penstock/policy/balancer.hpp"
#include "penstock/policy/retry_rules.hpp"

namespace penstock::policy {
namespace {

void Route(benchmark::State& state, const BalancerRow& row, bool loaded) {
  const auto endpoints = static_cast<std::uint32_t>(state.range(0));
  std::deque<EndpointLoad> loads;
  std::vector<EndpointView> views;
  std::vector<LoadLease> held;
  Prng prng(1);
  for (std::uint32_t i = 0; i < endpoints; ++i) {
    views.push_back({&loads.emplace_back(), 1 + i % 2});
    const std::uint64_t in_flight = loaded ? prng.Below(16) : 0;
    for (std::uint64_t n = 0; n < in_flight; ++n) held.push_back(loads.back().TryLease(0).value());
  }
  const auto balancer = row.make(views, prng);
  std::uint64_t checksum = 0;
  for (auto _ : state) {
    Candidates candidates(*balancer, {prng});
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

const int kRegistered = [] {
  for (const BalancerRow& row : Balancers()) {
    for (const bool loaded : {false, true}) {
      const std::string name = "Route/" + std::string(row.name) + (loaded ? "/loaded" : "/idle");
      benchmark::RegisterBenchmark(name.c_str(), [&row, loaded](benchmark::State& state) { Route(state, row, loaded); })
          ->Arg(8)
          ->Arg(100);
    }
  }
  return 0;
}();

}  // namespace
}  // namespace penstock::policy
