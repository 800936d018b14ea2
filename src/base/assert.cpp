#include "penstock/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace penstock {

void AssertionFailed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "penstock: assertion failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace penstock
