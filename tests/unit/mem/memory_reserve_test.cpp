#include "penstock/mem/memory_reserve.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <new>

namespace penstock {
namespace {

void Ask(std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) std::get_new_handler()();
}

[[noreturn]] void Use(std::size_t before_refill, std::size_t after) {
  MemoryReserve::Install();
  Ask(before_refill);
  const std::size_t taken = MemoryReserve::Refill();
  Ask(after);
  std::fprintf(stderr, "%zu taken, then %zu", taken, MemoryReserve::Refill());
  std::exit(0);
}

// In a process of its own: the handler is the whole process's.
TEST(MemoryReserveFaults, P_09_EveryPartIsGivenAndComesBack) {
  constexpr std::size_t kAll = MemoryReserve::kParts;
  EXPECT_EXIT(Use(kAll, kAll), testing::ExitedWithCode(0), "^32 taken, then 32$");
  EXPECT_EXIT(Use(0, 0), testing::ExitedWithCode(0), "^0 taken, then 0$");
}

TEST(MemoryReserveFaults, P_09_NothingLeftIsOneLineAndTheEnd) {
  EXPECT_EXIT(Use(0, MemoryReserve::kParts + 1), testing::KilledBySignal(SIGABRT),
              "^penstock: out of memory, [^\n]*\n$");
}

}  // namespace
}  // namespace penstock
