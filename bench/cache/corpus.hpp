#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "penstock/base/digest.hpp"
#include "penstock/base/prng.hpp"
#include "penstock/cache/entry.hpp"

namespace penstock::cache {

inline constexpr WallTime kBenchNow{1'000'000'000'000};

/// A digest with the bits of a real one: evenly spread, equal for equal numbers.
inline Digest DigestOf(std::uint64_t number) {
  Digest digest;
  Prng prng(number);
  for (unsigned i = 0; i < 4; ++i) {
    const std::uint64_t word = prng.Next();
    std::memcpy(digest.bytes.data() + 8 * i, &word, sizeof word);
  }
  return digest;
}

inline Entry EntryOfSize(std::size_t size, std::uint64_t tenant = 1) {
  Entry entry;
  entry.bytes = SharedBytes::Copy(std::string(size, 'x'));
  entry.scope.tenant = tenant;
  entry.stored_at = kBenchNow;
  entry.expires_at = {kBenchNow.us + 300'000'000};
  return entry;
}

/// 10,000 answers of 100 B to 10 KB, sizes spread evenly over the logarithm, sizes and popularity independent.
class Corpus {
 public:
  static constexpr std::size_t kPrompts = 10'000;

  explicit Corpus(std::uint64_t seed) {
    Prng prng(seed);
    for (std::size_t i = 0; i < kPrompts; ++i) {
      sizes_.push_back(static_cast<std::size_t>(100.0 * std::pow(100.0, prng.Uniform())));
      bytes_ += sizes_.back();
    }
  }
  std::size_t size_of(std::size_t prompt) const { return sizes_[prompt]; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::vector<std::size_t> sizes_;
  std::uint64_t bytes_ = 0;
};

/// Ranks 0, 1, 2 ... with probability proportional to 1 / (rank + 1)^alpha.
class Zipf {
 public:
  Zipf(std::size_t count, double alpha) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) cumulated_.push_back(sum += std::pow(static_cast<double>(i + 1), -alpha));
  }
  std::size_t Next(Prng& prng) const {
    const auto it = std::ranges::lower_bound(cumulated_, prng.Uniform() * cumulated_.back());
    return static_cast<std::size_t>(it - cumulated_.begin());
  }

 private:
  std::vector<double> cumulated_;
};

}  // namespace penstock::cache
