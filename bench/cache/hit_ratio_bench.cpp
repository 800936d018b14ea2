// Hit ratios, no times: Zipf traffic over a generated corpus, every miss stored, for caches that hold 1 to 50 % of the
// corpus. One row per policy, skew and size; the ratio is the counter `hits`. The same seed for both policies.
// bench/cache/plot_hit_ratio.py makes a figure of it. With PENSTOCK_BENCH_SMOKE=1 (CTest: that it runs, not what comes
// out) the requests are a hundredth, too few to mean anything.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "cache/corpus.hpp"
#include "penstock/cache/memory_tier.hpp"

namespace penstock::cache {
namespace {

struct Requests {
  int warm_up = 100'000;
  int counted = 300'000;
};

Requests RequestsOfRun() {
  const char* smoke = std::getenv("PENSTOCK_BENCH_SMOKE");
  return smoke != nullptr && std::string_view(smoke) == "1" ? Requests{1'000, 3'000} : Requests{};
}

void HitRatio(benchmark::State& state, Eviction policy, double alpha, unsigned percent) {
  static const Corpus corpus(7);
  static const Requests requests = RequestsOfRun();
  const Zipf zipf(Corpus::kPrompts, alpha);
  std::uint64_t hits = 0;
  for (auto _ : state) {
    MemoryTier tier({.size_bytes = corpus.bytes() * percent / 100, .shards = 1, .policy = policy});
    Prng prng(11);
    hits = 0;
    for (int i = 0; i < requests.warm_up + requests.counted; ++i) {
      const std::size_t prompt = zipf.Next(prng);
      if (tier.Find(DigestOf(prompt), kBenchNow)) {
        if (i >= requests.warm_up) ++hits;
      } else {
        tier.Insert(DigestOf(prompt), EntryOfSize(corpus.size_of(prompt)), kBenchNow);
      }
    }
  }
  state.counters["hits"] = static_cast<double>(hits) / requests.counted;
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
