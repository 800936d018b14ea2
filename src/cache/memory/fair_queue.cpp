#include "cache/memory/fair_queue.hpp"

namespace penstock::cache {

void FairQueue::PushNewest(Resident& resident) noexcept {
  Lane& lane = LaneOf(resident);
  Append(lane, resident);
  resident.lane = lane_;
  ++count_;
  Resize(lane, lane.bytes + resident.cost);
}

void FairQueue::Remove(Resident& resident) noexcept {
  Lane& lane = LaneOf(resident);
  Detach(lane, resident);
  --count_;
  Resize(lane, lane.bytes - resident.cost);
}

void FairQueue::MoveToNewest(Resident& resident) noexcept {
  Lane& lane = LaneOf(resident);
  if (lane.newest == &resident) return;
  Detach(lane, resident);
  Append(lane, resident);
}

void FairQueue::Recost(Resident& resident, std::uint32_t cost) noexcept {
  Lane& lane = LaneOf(resident);
  Resize(lane, lane.bytes - resident.cost + cost);
  resident.cost = cost;
}

Resident* FairQueue::Oldest() const noexcept {
  for (std::size_t i = occupied_.size(); i-- > 0;) {
    if (occupied_[i] == 0) continue;
    const std::size_t highest = 64 * i + static_cast<std::size_t>(std::bit_width(occupied_[i])) - 1;
    return classes_[highest]->oldest;
  }
  return nullptr;
}

void FairQueue::Append(Lane& lane, Resident& resident) noexcept {
  resident.newer = nullptr;
  resident.older = lane.newest;
  (lane.newest != nullptr ? lane.newest->newer : lane.oldest) = &resident;
  lane.newest = &resident;
}

void FairQueue::Detach(Lane& lane, Resident& resident) noexcept {
  (resident.older != nullptr ? resident.older->newer : lane.oldest) = resident.newer;
  (resident.newer != nullptr ? resident.newer->older : lane.newest) = resident.older;
  resident.older = resident.newer = nullptr;
}

void FairQueue::Resize(Lane& lane, std::uint64_t bytes) noexcept {
  bytes_ += bytes - lane.bytes;
  const std::uint64_t before = lane.bytes;
  lane.bytes = bytes;
  if (before != 0 && bytes != 0 && ClassOf(before) == ClassOf(bytes)) return;
  if (before != 0) Unlist(lane, ClassOf(before));
  if (bytes != 0) List(lane, ClassOf(bytes));
}

void FairQueue::Unlist(Lane& lane, unsigned size_class) noexcept {
  (lane.previous != nullptr ? lane.previous->next : classes_[size_class]) = lane.next;
  if (lane.next != nullptr) lane.next->previous = lane.previous;
  lane.next = lane.previous = nullptr;
  if (classes_[size_class] == nullptr) occupied_[size_class / 64] &= ~(std::uint64_t{1} << (size_class % 64));
}

void FairQueue::List(Lane& lane, unsigned size_class) noexcept {
  lane.next = classes_[size_class];
  if (lane.next != nullptr) lane.next->previous = &lane;
  classes_[size_class] = &lane;
  occupied_[size_class / 64] |= std::uint64_t{1} << (size_class % 64);
}

}  // namespace penstock::cache
