#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "penstock/base/digest.hpp"

namespace penstock::cache {

/// Owned by one policy. Remembers the digests of entries that are gone, for as many later insertions as it is asked to.
/// As in the S3-FIFO paper (section 4.2) a fingerprint and the turn in which it came: 8 bytes, no queue, and what is
/// too old is simply not found. Four-way sets, at most three quarters full; a full set loses its oldest. 32 bits of
/// fingerprint: one wrong "remembered" in some 10^5 questions at 40,000 entries, whose cost is one entry admitted to
/// the wrong queue.
class GhostSet {
 public:
  GhostSet() : slots_(kSlotsMin) {}

  /// Remembers `digest` for the next `span` insertions.
  void Insert(const Digest& digest, std::size_t span);
  /// Whether it is remembered; it no longer is afterwards.
  bool Take(const Digest& digest) noexcept;

  std::size_t bytes() const noexcept { return slots_.capacity() * sizeof(Slot); }

 private:
  static constexpr std::size_t kWays = 4;
  static constexpr std::size_t kSlotsMin = 64;
  static constexpr std::uint32_t kSpanMin = 16;

  struct Slot {
    std::uint32_t fingerprint = 0;  ///< 0 = empty
    std::uint32_t turn = 0;
  };

  static std::uint32_t FingerprintOf(const Digest& digest) noexcept {
    const auto fingerprint = static_cast<std::uint32_t>(digest.word(2));
    return fingerprint == 0 ? 1 : fingerprint;
  }
  Slot* SetOf(std::uint32_t fingerprint) noexcept {
    return &slots_[(fingerprint & (slots_.size() / kWays - 1)) * kWays];
  }
  bool Alive(const Slot& slot) const noexcept { return slot.fingerprint != 0 && turn_ - slot.turn <= span_; }
  void Put(Slot slot) noexcept;
  void Double();

  std::vector<Slot> slots_;
  std::uint32_t turn_ = 0;
  std::uint32_t span_ = kSpanMin;
};

}  // namespace penstock::cache
