// disk_kill ROUNDS: a child writes entries through a DiskTier, is killed at a random moment, and what it left is opened
// and read back: ready in time, and every answer the one that its key implies.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "penstock/base/assert.hpp"
#include "penstock/base/prng.hpp"
#include "unit/cache/disk_world.hpp"

namespace penstock::cache::test {
namespace {

constexpr std::uint64_t kKeys = 400;  // more than fit: eviction takes part
constexpr std::uint64_t kSize = kDiskSizeMin;
constexpr double kReadyMs = 200;

std::size_t SizeOf(std::uint64_t number) { return 200 + number * 37 % 20'000; }

/// Writes for ever; a byte into `progress` for every sixteen entries.
[[noreturn]] void WriteForEver(const std::string& path, std::uint64_t seed, int progress) {
  DiskOptions options;
  options.path = path;
  options.size = kSize;
  options.now = ReadMonotonicClock;
  options.wall = [] { return WallTime{kStartUs}; };
  auto tier = DiskTier::Open(std::move(options));
  if (!tier.has_value()) std::fprintf(stderr, "child: %s\n", tier.error().c_str());
  PENSTOCK_ASSERT(tier.has_value());
  Prng prng(seed);
  for (std::uint64_t i = 0;; ++i) {
    const std::uint64_t number = prng.Next() % kKeys;
    (*tier)->Store(KeyOf(number), EntryOf(number, SizeOf(number), {kStartUs}));
    if (i % 16 == 15) PENSTOCK_ASSERT(::write(progress, "x", 1) == 1);
    if (i % 64 == 63) (*tier)->Drain();
  }
}

void KillAfter(const std::string& path, std::uint64_t seed, std::uint64_t steps) {
  int ends[2];
  PENSTOCK_ASSERT(::pipe(ends) == 0);
  const pid_t child = ::fork();
  PENSTOCK_ASSERT(child >= 0);
  if (child == 0) WriteForEver(path, seed, ends[1]);
  ::close(ends[1]);
  char byte;
  for (std::uint64_t i = 0; i < steps; ++i) PENSTOCK_ASSERT(::read(ends[0], &byte, 1) == 1);
  ::kill(child, SIGKILL);
  int status = 0;
  PENSTOCK_ASSERT(::waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  ::close(ends[0]);
}

int Main(int rounds) {
  DiskWorld world;
  Prng prng(20'240'611);
  std::uint64_t found = 0, wrong = 0, corrupt = 0, anew = 0;
  double slowest_ms = 0;
  for (int round = 0; round < rounds; ++round) {
    // The first rounds hit the making of the database; later ones a full one.
    KillAfter(world.Home(), prng.Next(), round < 3 ? static_cast<std::uint64_t>(round) : prng.Next() % 60);
    const TimePoint begin = ReadMonotonicClock();
    const std::string why = world.Open(kSize);
    const std::optional<Entry> first = world.Find(0);
    const double ms = ToMilliseconds(ReadMonotonicClock() - begin);
    if (!why.empty()) {
      std::fprintf(stderr, "round %d: %s\n", round, why.c_str());
      return 1;
    }
    slowest_ms = ms > slowest_ms ? ms : slowest_ms;
    for (std::uint64_t number = 0; number < kKeys; ++number) {
      const std::optional<Entry> entry = world.Find(number);
      found += entry ? 1 : 0;
      wrong += world.Right(number, SizeOf(number), entry) ? 0 : 1;
    }
    corrupt += world.tier->Stats().corrupt;
    anew += world.tier->Stats().begun_anew;
    world.tier.reset();  // before the next fork: a child has one thread only
  }
  std::printf(
      "%d kills: %llu entries read back, %llu wrong, %llu with a bad checksum, %llu databases lost, slowest %.1f ms\n",
      rounds, static_cast<unsigned long long>(found), static_cast<unsigned long long>(wrong),
      static_cast<unsigned long long>(corrupt), static_cast<unsigned long long>(anew), slowest_ms);
  // A kill, unlike a power failure, loses nothing that was committed: neither an entry nor the database may be broken.
  const bool good = wrong == 0 && corrupt == 0 && anew == 0 && found > static_cast<std::uint64_t>(rounds);
  return good && slowest_ms < kReadyMs ? 0 : 1;
}

}  // namespace
}  // namespace penstock::cache::test

int main(int count, char** arguments) { return penstock::cache::test::Main(count > 1 ? std::atoi(arguments[1]) : 20); }
