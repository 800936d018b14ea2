#include "cache/memory/s3_fifo.hpp"

namespace penstock::cache {

void S3Fifo::Admit(Resident& resident) {
  resident.hits = 0;
  (ghost_.Take(resident.digest) ? main_ : small_).PushNewest(resident);
}

void S3Fifo::Forget(Resident& resident, bool replaced) {
  if (replaced && Proven(resident)) ghost_.Insert(resident.digest, main_.count());
  QueueOf(resident).Remove(resident);
}

Resident* S3Fifo::Evict() {
  for (unsigned spared = 0;; ++spared) {
    const bool from_small = small_.bytes() > small_target_ || main_.count() == 0;
    FairQueue& queue = from_small ? small_ : main_;
    Resident* const resident = queue.Oldest();
    if (resident == nullptr) return nullptr;
    queue.Remove(*resident);
    if (resident->hits < (from_small ? kPromotedAt : 1) || spared == kSparedMax) {
      if (from_small) ghost_.Insert(resident->digest, main_.count());
      return resident;
    }
    // The hits that earned the promotion are spent with it.
    resident->hits = from_small ? 0 : static_cast<std::uint8_t>(resident->hits - 1);
    main_.PushNewest(*resident);
  }
}

}  // namespace penstock::cache
