#include "penstock/base/prng.hpp"

#include <sys/random.h>

#include "penstock/base/assert.hpp"

namespace penstock {

std::uint64_t SystemSeed() noexcept {
  std::uint64_t seed = 0;
  PENSTOCK_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

}  // namespace penstock
