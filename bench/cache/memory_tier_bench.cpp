// Lookup (hits, Zipf 0.9) and insertion (with eviction) of 1 KiB entries by 1 to 16 threads: the memory tier with
// either policy against an LRU behind one mutex. Budget of a hit, alone: 0.3 us.
#include <benchmark/benchmark.h>

#include <memory>
#include <vector>

#include "cache/corpus.hpp"
#include "cache/one_mutex_lru.hpp"
#include "penstock/cache/memory_tier.hpp"

namespace penstock::cache {
namespace {

constexpr std::size_t kEntries = 20'000;
constexpr std::size_t kEntryBytes = 1024;
constexpr std::uint64_t kRoomForAll = 64 << 20;
constexpr std::uint64_t kRoomForHalf = 12 << 20;
constexpr std::size_t kDraws = 1 << 16;

template <Eviction policy>
std::unique_ptr<MemoryTier> MakeTier(std::uint64_t size_bytes) {
  return std::make_unique<MemoryTier>(MemoryOptions{.size_bytes = size_bytes, .shards = 16, .policy = policy});
}
std::unique_ptr<OneMutexLru> MakeOneMutexLru(std::uint64_t size_bytes) {
  return std::make_unique<OneMutexLru>(size_bytes);
}

const std::vector<Digest>& Digests() {
  static const std::vector<Digest> digests = [] {
    std::vector<Digest> all;
    for (std::size_t i = 0; i < kEntries; ++i) all.push_back(DigestOf(i));
    return all;
  }();
  return digests;
}

std::vector<std::uint32_t> Draws(int thread) {
  static const Zipf zipf(kEntries, 0.9);
  Prng prng(static_cast<std::uint64_t>(thread) + 1);
  std::vector<std::uint32_t> draws(kDraws);
  for (auto& draw : draws) draw = static_cast<std::uint32_t>(zipf.Next(prng));
  return draws;
}

template <auto make>
void Lookup(benchmark::State& state) {
  static const auto cache = [] {
    auto filled = make(kRoomForAll);
    for (const Digest& digest : Digests()) filled->Insert(digest, EntryOfSize(kEntryBytes), kBenchNow);
    return filled;
  }();
  const auto draws = Draws(state.thread_index());
  std::size_t i = 0;
  std::uint64_t found = 0;
  for (auto _ : state) {
    const auto entry = cache->Find(Digests()[draws[i++ % kDraws]], kBenchNow);
    found += entry ? entry->bytes.size() : 0;
  }
  state.SetItemsProcessed(state.iterations());
  if (found != kEntryBytes * static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("a miss");
}

template <auto make>
void Insert(benchmark::State& state) {
  static const auto cache = make(kRoomForHalf);
  const Entry entry = EntryOfSize(kEntryBytes);
  Prng prng(static_cast<std::uint64_t>(state.thread_index()) + 1);
  for (auto _ : state) {
    Entry mine = entry;
    mine.bytes = SharedBytes::Copy(entry.bytes.view());
    benchmark::DoNotOptimize(cache->Insert(Digests()[prng.Below(kEntries)], std::move(mine), kBenchNow));
  }
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(Lookup<MakeTier<Eviction::kS3Fifo>>)->Name("Lookup/s3fifo")->ThreadRange(1, 16)->UseRealTime();
BENCHMARK(Lookup<MakeTier<Eviction::kLru>>)->Name("Lookup/lru")->ThreadRange(1, 16)->UseRealTime();
BENCHMARK(Lookup<MakeOneMutexLru>)->Name("Lookup/one_mutex_lru")->ThreadRange(1, 16)->UseRealTime();
BENCHMARK(Insert<MakeTier<Eviction::kS3Fifo>>)->Name("Insert/s3fifo")->ThreadRange(1, 16)->UseRealTime();
BENCHMARK(Insert<MakeTier<Eviction::kLru>>)->Name("Insert/lru")->ThreadRange(1, 16)->UseRealTime();
BENCHMARK(Insert<MakeOneMutexLru>)->Name("Insert/one_mutex_lru")->ThreadRange(1, 16)->UseRealTime();

}  // namespace
}  // namespace penstock::cache
