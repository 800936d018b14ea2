// Hit ratios, no times: Zipf traffic over a generated corpus, every miss stored, for caches that hold 1 to 50 % of the
// corpus. One row per policy, skew and size; the ratio is the counter `hits`. The same seed for both policies.
#include <benchmark/benchmark.h>

#include <string>

#include "cache/corpus.hpp"
#include "penstock/cache/memory_tier.hpp"

namespace penstock::cache {
namespace {

void HitRatio(benchmark::State& state, Eviction policy, double alpha, unsigned percent) {
  constexpr int kWarmUp = 100'000;
  constexpr int kCounted = 300'000;
  const Corpus corpus(7);
  const Zipf zipf(Corpus::kPrompts, alpha);
  std::uint64_t hits = 0;
  for (auto _ : state) {
    MemoryTier tier({.size_bytes = corpus.bytes() * percent / 100, .shards = 1, .policy = policy});
    Prng prng(11);
    hits = 0;
    for (int i = 0; i < kWarmUp + kCounted; ++i) {
      const std::size_t prompt = zipf.Next(prng);
      if (tier.Find(DigestOf(prompt), kBenchNow)) {
        if (i >= kWarmUp) ++hits;
      } else {
        tier.Insert(DigestOf(prompt), EntryOfSize(corpus.size_of(prompt)), kBenchNow);
      }
    }
  }
  state.counters["hits"] = static_cast<double>(hits) / kCounted;
}

const int kRegistered = [] {
  for (const unsigned tenths : {9u, 11u}) {
    for (const unsigned percent : {1u, 2u, 5u, 10u, 20u, 50u}) {
      for (const auto policy : {Eviction::kS3Fifo, Eviction::kLru}) {
        const std::string name = "HitRatio/zipf_" + std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) +
                                 "/size_" + std::to_string(percent) + "%/" +
                                 (policy == Eviction::kLru ? "lru" : "s3fifo");
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { HitRatio(state, policy, tenths / 10.0, percent); })
            ->Iterations(1)
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  return 0;
}();

}  // namespace
}  // namespace penstock::cache
