#include "proxy/stages/queue_place.hpp"

#include <algorithm>

namespace penstock::proxy {
namespace {

// How often those who wait look for what nobody tells: all of them together about a thousand times a second.
constexpr Duration kLookMin = std::chrono::milliseconds(10);
constexpr Duration kLookMax = std::chrono::milliseconds(250);
constexpr Duration kLookPerWaiter = std::chrono::milliseconds(1);

}  // namespace

QueuePlace::QueuePlace(RequestContext& context, policy::Priority priority, bool retry, Duration patience)
    : context_(context),
      cluster_(*context.cluster),
      queue_(*cluster_.route->queue),
      waiter_(context.worker.worker),
      timer_(this, [](void* self) { static_cast<QueuePlace*>(self)->OnTimer(); }),
      entered_(context.now()),
      give_up_(policy::Deadline::After(entered_, patience).at) {
  waiter_.priority = priority;
  waiter_.retry = retry;
  waiter_.tenant = context.tenant->label.id();
  waiter_.deadline = context.deadline.at;
  waiter_.bytes = context.body.size();
}

QueuePlace::~QueuePlace() {
  if (!inside_) return;
  queue_.Leave(waiter_);
  telemetry::Slab& slab = context_.worker.metrics.slab;
  queue_.metrics.depth.Sub(slab);
  queue_.metrics.wait.Observe(slab, waited());
  context_.record.queued += waited();
}

bool QueuePlace::Enter() {
  const policy::AdmissionQueue::Limits limits{.entries = cluster_.route->config->queue.size};
  inside_ = queue_.Enter(waiter_, limits, entered_);
  if (!inside_) return false;
  queue_.metrics.depth.Add(context_.worker.metrics.slab);
  Arm();
  return true;
}

QueuePlace::Word QueuePlace::Hear() {
  if (timed_out_) return Word::kTimeout;
  return queue_.Hear(waiter_) == QueueWaiter::Word::kTurn ? Word::kTurn : Word::kDrivenOut;
}

void QueuePlace::GiveBack(bool others_may, TimePoint look_at) {
  look_at_ = look_at;
  queue_.GiveBack(waiter_, others_may);
  Arm();
}

void QueuePlace::Admitted() { queue_.Admitted(waiter_, context_.now()); }

Duration QueuePlace::waited() const { return context_.now() - entered_; }

void QueuePlace::OnTimer() {
  const TimePoint now = context_.now();
  if (now < give_up_) {
    queue_.Look(now);
    look_at_ = TimePoint::Max();
    Arm();
  } else if (queue_.Withdraw(waiter_)) {
    timed_out_ = true;
    waiter_.signal.Set();
  }
}

void QueuePlace::Arm() {
  const TimePoint now = context_.now();
  const Duration usual =
      std::clamp<Duration>(static_cast<std::int64_t>(queue_.depth()) * kLookPerWaiter, kLookMin, kLookMax);
  const TimePoint look = std::max(std::min(look_at_, now + usual), now + std::chrono::milliseconds(1));
  context_.worker.worker.timers().Arm(timer_, std::min(look, std::max(give_up_, now)));
}

}  // namespace penstock::proxy
