#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace penstock::bench {

/// Calls of operator new since the program began.
std::uint64_t AllocationCount() noexcept;

/// Runs `operation` as the benchmark's body, once before to warm up, and reports `allocs` per iteration.
template <class Operation>
void Measure(benchmark::State& state, std::size_t bytes, Operation&& operation) {
  operation();
  const std::uint64_t before = AllocationCount();
  for (auto _ : state) operation();
  state.counters["allocs"] =
      benchmark::Counter(static_cast<double>(AllocationCount() - before), benchmark::Counter::kAvgIterations);
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
}

}  // namespace penstock::bench
