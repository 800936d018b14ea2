#include "cache/memory/ghost_set.hpp"

#include <algorithm>

namespace penstock::cache {

void GhostSet::Insert(const Digest& digest, std::size_t span) {
  span_ = static_cast<std::uint32_t>(std::clamp<std::size_t>(span, kSpanMin, UINT32_MAX / 2));
  if (span_ > slots_.size() / 4 * 3) Double();
  ++turn_;
  Put({FingerprintOf(digest), turn_});
}

bool GhostSet::Take(const Digest& digest) noexcept {
  const std::uint32_t fingerprint = FingerprintOf(digest);
  Slot* const set = SetOf(fingerprint);
  for (std::size_t i = 0; i < kWays; ++i) {
    if (set[i].fingerprint != fingerprint) continue;
    const bool alive = Alive(set[i]);
    set[i] = {};
    return alive;
  }
  return false;
}

void GhostSet::Put(Slot slot) noexcept {
  Slot* const set = SetOf(slot.fingerprint);
  Slot* oldest = set;
  for (std::size_t i = 0; i < kWays; ++i) {
    Slot& other = set[i];
    if (other.fingerprint == slot.fingerprint || other.fingerprint == 0) {
      other = slot;
      return;
    }
    if (turn_ - other.turn > turn_ - oldest->turn) oldest = &other;
  }
  *oldest = slot;
}

void GhostSet::Double() {
  std::vector<Slot> before(2 * slots_.size());
  before.swap(slots_);
  for (const Slot& slot : before) {
    if (Alive(slot)) Put(slot);
  }
}

}  // namespace penstock::cache
