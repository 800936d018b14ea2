#include "penstock/policy/admission_queue.hpp"

#include <algorithm>

#include "penstock/base/assert.hpp"

namespace penstock::policy {

bool AdmissionQueue::Push(QueueEntry& entry, const Limits& limits, std::vector<QueueEntry*>& driven_out) {
  driven_out.clear();
  if (entry.bytes > limits.bytes || limits.entries == 0) return false;
  while (!Fits(entry, limits)) {
    QueueEntry* const victim = Victim(entry);
    if (victim == nullptr) break;
    Leave(*victim);
    driven_out.push_back(victim);
  }
  if (!Fits(entry, limits)) {  // too large even so: those who had to go come back, in the order in which they went
    for (QueueEntry* back : driven_out) {
      Class& own = ClassOf(back->priority);
      ++size_, ++own.size;
      bytes_ += back->bytes, own.bytes += back->bytes;
      Lane& lane = LaneOf(*back);
      Wait(lane, FlowOf(lane, back->tenant), *back);
    }
    driven_out.clear();
    return false;
  }
  Class& own = ClassOf(entry.priority);
  Lane& lane = LaneOf(entry);
  entry.arrival_ = ++arrivals_;
  Wait(lane, FlowOf(lane, entry.tenant), entry);
  ++size_, ++own.size;
  bytes_ += entry.bytes, own.bytes += entry.bytes;
  return true;
}

QueueEntry* AdmissionQueue::Take() {
  Class* const chosen = NextClass();
  if (chosen == nullptr) return nullptr;
  Lane& lane = chosen->lanes[chosen->lanes[0].waiting != 0 ? 0 : 1];
  QueueFlow& flow = lane.active.top();
  QueueEntry& entry = flow.entries.top();
  entry.start_ = flow.start;
  entry.since_ = flow.since;
  entry.passed_over_ = chosen->passed_over;
  chosen->passed_over = 0;
  for (Class* lower = chosen + 1; lower != classes_.data() + classes_.size(); ++lower) {
    if (lower->waiting() != 0) ++lower->passed_over;
  }
  Unwait(lane, flow, entry);
  lane.virtual_time = std::max(lane.virtual_time, flow.start);
  ++flow.start;
  if (!flow.entries.empty()) lane.active.Reorder(flow);
  ++lane.taken;
  entry.state_ = QueueEntry::State::kTaken;
  return &entry;
}

void AdmissionQueue::Return(QueueEntry& entry) {
  PENSTOCK_ASSERT(entry.taken());
  Class& own = ClassOf(entry.priority);
  own.passed_over = std::max(own.passed_over, entry.passed_over_);
  for (Class* lower = &own + 1; lower != classes_.data() + classes_.size(); ++lower) {
    if (lower->passed_over != 0) --lower->passed_over;  // nobody went before it
  }
  Lane& lane = LaneOf(entry);
  QueueFlow& flow = FlowOf(lane, entry.tenant);
  --lane.taken;
  Wait(lane, flow, entry);
  flow.start = std::min(flow.start, entry.start_);
  flow.since = std::min(flow.since, entry.since_);
  lane.active.Reorder(flow);
}

void AdmissionQueue::Leave(QueueEntry& entry) noexcept {
  if (!entry.queued()) return;
  Class& own = ClassOf(entry.priority);
  Lane& lane = LaneOf(entry);
  if (entry.taken()) {
    --lane.taken;
  } else {
    Unwait(lane, *lane.flows.find(entry.tenant)->second, entry);
  }
  entry.state_ = QueueEntry::State::kOutside;
  --size_, --own.size;
  bytes_ -= entry.bytes, own.bytes -= entry.bytes;
  if (own.size == 0) own.passed_over = 0;
  Settle(lane);
}

QueueFlow& AdmissionQueue::FlowOf(Lane& lane, std::uint64_t tenant) {
  std::unique_ptr<QueueFlow>& flow = lane.flows[tenant];
  if (flow == nullptr) {
    flow = std::make_unique<QueueFlow>();
    flow->tenant = tenant;
  }
  return *flow;
}

void AdmissionQueue::Wait(Lane& lane, QueueFlow& flow, QueueEntry& entry) {
  const bool idle = flow.entries.empty();
  flow.entries.Insert(entry);
  if (idle) {
    flow.start = std::max(flow.start, lane.virtual_time);
    flow.since = entry.arrival_;
    lane.active.Insert(flow);
  }
  entry.state_ = QueueEntry::State::kWaiting;
  ++lane.waiting;
  ++waiting_;
}

void AdmissionQueue::Unwait(Lane& lane, QueueFlow& flow, QueueEntry& entry) noexcept {
  flow.entries.Erase(entry);
  if (flow.entries.empty()) lane.active.Erase(flow);
  --lane.waiting;
  --waiting_;
}

/// The end of a busy period: nobody is owed anything, and the tags begin anew.
void AdmissionQueue::Settle(Lane& lane) noexcept {
  if (lane.waiting != 0 || lane.taken != 0) return;
  lane.flows.clear();
  lane.virtual_time = 0;
}

AdmissionQueue::Class* AdmissionQueue::NextClass() noexcept {
  Class* first = nullptr;
  for (std::size_t i = kPriorities; i-- != 0;) {
    if (classes_[i].waiting() == 0) continue;
    if (classes_[i].passed_over >= kPassedOverMax) return &classes_[i];  // the lowest that starves
    first = &classes_[i];
  }
  return first;
}

bool AdmissionQueue::Fits(const QueueEntry& entry, const Limits& limits) const noexcept {
  return size_ < limits.entries && bytes_ + entry.bytes <= limits.bytes;
}

/// A taken one is as good as admitted, and is left alone; so is who comes back.
QueueEntry* AdmissionQueue::Victim(const QueueEntry& newcomer) noexcept {
  QueueFlow* longest = nullptr;
  for (std::size_t i = kPriorities - 1; i > Index(newcomer.priority) && longest == nullptr; --i)
    longest = Longest(classes_[i].lanes[1]);
  if (longest == nullptr) {
    Lane& own = ClassOf(newcomer.priority).lanes[1];
    longest = Longest(own);
    const auto ours = own.flows.find(newcomer.tenant);
    const std::size_t waiting = ours == own.flows.end() ? 0 : ours->second->entries.size();
    if (longest == nullptr || longest->entries.size() < waiting + 2) return nullptr;
  }
  const std::vector<QueueEntry*>& entries = longest->entries.elements();
  return *std::max_element(entries.begin(), entries.end(),
                           [](const QueueEntry* a, const QueueEntry* b) { return QueueEntry::Earlier{}(*a, *b); });
}

QueueFlow* AdmissionQueue::Longest(const Lane& lane) noexcept {
  QueueFlow* longest = nullptr;
  for (QueueFlow* flow : lane.active.elements()) {
    if (longest == nullptr || flow->entries.size() > longest->entries.size()) longest = flow;
  }
  return longest;
}

}  // namespace penstock::policy
