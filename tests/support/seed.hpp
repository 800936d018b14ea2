#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "penstock/base/prng.hpp"

namespace penstock::test {

/// A seed for one test: PENSTOCK_SEED from the environment, else a fresh one. While it lives, every failure names it:
///   const test::Seed seed;  Prng prng(seed.value());
class Seed {
 public:
  Seed() : Seed(Choose()) {}
  /// A fixed one, for a case that must stay as it is.
  explicit Seed(std::uint64_t value)
      : value_(value), trace_("", 0, "PENSTOCK_SEED=" + std::to_string(value) + " replays this run") {}

  std::uint64_t value() const noexcept { return value_; }

 private:
  static std::uint64_t Choose() {
    const char* given = std::getenv("PENSTOCK_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : SystemSeed();
  }
  std::uint64_t value_;
  testing::ScopedTrace trace_;
};

}  // namespace penstock::test
