#include "penstock/cache/flight.hpp"

#include <algorithm>
#include <utility>

#include "penstock/base/assert.hpp"

namespace penstock::cache {

Flight::~Flight() { held_.fetch_sub(counted_, std::memory_order_relaxed); }

void Flight::CountHeld() noexcept {
  const std::size_t now = bytes_.capacity();
  if (now == counted_) return;
  held_.fetch_add(now - counted_, std::memory_order_relaxed);  // modulo 2^64: also when it has become less
  counted_ = now;
}

void Flight::Restart() {
  const std::lock_guard lock(mutex_);
  PENSTOCK_ASSERT(!open_);
  bytes_.clear();
  usage_ = {};
}

std::size_t Flight::Append(std::string_view bytes, llm::UsageEvent usage) {
  const std::lock_guard lock(mutex_);
  bytes_.append(bytes);
  CountHeld();
  usage_ = usage;
  if (open_) Wake();
  return bytes_.size();
}

bool Flight::GiveUpIfAlone(Landing landing) {
  const std::lock_guard lock(mutex_);
  if (followers() > 0) return false;
  if (landing_ == Landing::kUnderWay) landing_ = landing;
  std::string().swap(bytes_);
  CountHeld();
  return true;
}

void Flight::Open(Form form, std::optional<std::uint64_t> length) {
  const std::lock_guard lock(mutex_);
  form_ = form;
  length_ = length;
  open_ = true;
  Wake();
}

void Flight::SetAnsweredBy(std::string_view model) {
  const std::lock_guard lock(mutex_);
  PENSTOCK_ASSERT(!open_);
  answered_by_ = model;
}

void Flight::Land(Landing landing, std::optional<Entry> entry, SharedRefusal refusal) {
  const std::lock_guard lock(mutex_);
  if (landing_ != Landing::kUnderWay) return;
  landing_ = landing;
  entry_ = std::move(entry);
  refusal_ = std::move(refusal);
  Wake();
}

void Flight::Watch(rt::Worker* worker, std::function<void()> changed) {
  const std::lock_guard lock(mutex_);
  leader_worker_ = worker;
  changed_ = std::move(changed);
}

void Flight::TellLeader() {
  if (leader_worker_ == nullptr) return;
  leader_worker_->Post([flight = shared_from_this()] {
    const std::function<void()> changed = flight->changed_;  // which may end the watch
    if (changed != nullptr) changed();
  });
}

Boarding Flight::Board(Follower& follower) {
  const std::lock_guard lock(mutex_);
  if (landing_ != Landing::kUnderWay && landing_ != Landing::kWhole) return Boarding::kOver;
  if (followers() >= kFollowersMax) return Boarding::kFull;
  if (followers_.fetch_add(1, std::memory_order_relaxed) == 0) TellLeader();
  Side& side = SideOf(follower.worker_);
  follower.round_ = side.round;
  Link(side, follower);
  return Boarding::kAboard;
}

void Flight::Leave(Follower& follower) {
  const std::lock_guard lock(mutex_);
  Unlink(SideOf(follower.worker_), follower);
  if (followers_.fetch_sub(1, std::memory_order_relaxed) == 1) TellLeader();
}

Flight::Side& Flight::SideOf(rt::Worker& worker) {
  const auto found =
      std::find_if(sides_.begin(), sides_.end(), [&worker](const Side& side) { return side.worker == &worker; });
  if (found != sides_.end()) return *found;
  sides_.push_back({.worker = &worker});
  return sides_.back();
}

void Flight::Link(Side& side, Follower& follower) noexcept {
  follower.previous_ = side.last;
  follower.next_ = nullptr;
  (side.last != nullptr ? side.last->next_ : side.first) = &follower;
  side.last = &follower;
}

void Flight::Unlink(Side& side, Follower& follower) noexcept {
  (follower.previous_ != nullptr ? follower.previous_->next_ : side.first) = follower.next_;
  (follower.next_ != nullptr ? follower.next_->previous_ : side.last) = follower.previous_;
}

void Flight::Wake() {
  for (Side& side : sides_) {
    if (side.first == nullptr || side.mailed) continue;
    side.mailed = true;
    side.worker->Post([flight = shared_from_this(), worker = side.worker] { flight->Deliver(*worker); });
  }
}

/// Wakes every follower of `worker`, on its thread, outside the mutex: one that wakes may leave, and take others along.
/// Those that were woken in this round stand at the end of the list.
void Flight::Deliver(rt::Worker& worker) {
  std::unique_lock lock(mutex_);
  const std::uint64_t round = [&] {
    Side& side = SideOf(worker);
    side.mailed = false;
    return ++side.round;
  }();
  while (true) {
    Side& side = SideOf(worker);
    Follower* const follower = side.first;
    if (follower == nullptr || follower->round_ >= round) return;
    follower->round_ = round;
    Unlink(side, *follower);
    Link(side, *follower);
    lock.unlock();
    follower->Wake();
    lock.lock();
  }
}

Boarding Follower::Board(std::shared_ptr<Flight> flight) {
  Leave();
  const Boarding boarding = flight->Board(*this);
  if (boarding != Boarding::kAboard) return boarding;
  flight_ = std::move(flight);
  taken_ = 0;
  changed_.Reset();
  return boarding;
}

void Follower::Leave() {
  if (flight_ == nullptr) return;
  flight_->Leave(*this);
  flight_.reset();
}

Follower::State Follower::Look() const {
  const std::lock_guard lock(flight_->mutex_);
  return {flight_->landing_, flight_->open_, flight_->form_, flight_->length_, flight_->answered_by_};
}

std::size_t Follower::Take(Chain& to, std::size_t bytes_max, bool with_usage) {
  const std::lock_guard lock(flight_->mutex_);
  const std::string_view all = flight_->bytes_;
  std::size_t end = all.size();
  if (const llm::UsageEvent usage = flight_->usage_; usage.size > 0 && !with_usage) {
    const std::size_t behind = std::size_t{usage.offset} + usage.size;
    if (taken_ == usage.offset) taken_ = behind;
    if (taken_ < usage.offset) end = usage.offset;
  }
  if (taken_ >= end) return 0;
  std::string_view piece = all.substr(taken_, std::min(end - taken_, bytes_max));
  if (flight_->form_ == Form::kEvents && taken_ + piece.size() < end) {
    // Up to the end of an event, where one ends: a comment or an error may have to follow.
    if (const std::size_t behind = piece.rfind("\n\n"); behind != piece.npos) piece = piece.substr(0, behind + 2);
  }
  to.Append(piece);
  taken_ += piece.size();
  return piece.size();
}

std::optional<Entry> Follower::entry() const {
  const std::lock_guard lock(flight_->mutex_);
  return flight_->entry_;
}

std::optional<Entry> Follower::rebuilt(bool with_usage) const {
  const std::lock_guard lock(flight_->mutex_);
  return flight_->rebuilt_[with_usage ? 1 : 0];
}

void Follower::ShareRebuilt(bool with_usage, Entry entry) {
  const std::lock_guard lock(flight_->mutex_);
  flight_->rebuilt_[with_usage ? 1 : 0] = std::move(entry);
}

}  // namespace penstock::cache
