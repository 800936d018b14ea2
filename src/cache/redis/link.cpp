#include "cache/redis/link.hpp"

#include <algorithm>
#include <utility>

#include "penstock/base/assert.hpp"
#include "penstock/redis/command.hpp"

namespace penstock::cache {

namespace {

constexpr std::size_t kCallsAtFirst = 64;

/// The wheel fires up to a millisecond late: armed that much earlier, a request is never delayed beyond its timeout.
constexpr Duration kTick = std::chrono::milliseconds(1);

}  // namespace

RedisLink::RedisLink(rt::Worker& worker, const RedisOptions& options, const redis::Url& login, std::uint32_t database,
                     RedisLinkEvents& events)
    : worker_(worker),
      options_(options),
      login_(login),
      database_(database),
      events_(&events),
      transport_(worker, *this),
      reader_(redis::ReplyReader::kBulkMax),  // another instance's `cache.max_entry` may be larger than ours
      greeting_(*this),
      timer_(this, [](void* self) { static_cast<RedisLink*>(self)->OnTimer(); }),
      calls_(kCallsAtFirst) {}

RedisLink::~RedisLink() = default;

void RedisLink::Connect(const rt::Address& address, std::string_view server_name) {
  PENSTOCK_ASSERT(!login_.tls || options_.tls != nullptr);  // else the password would leave in the clear
  worker_.Arm(timer_, options_.connect_timeout);
  transport_.Connect(address, rt::ConnectOptions{}, login_.tls ? options_.tls : nullptr, server_name);
}

std::uint64_t RedisLink::Expect(RedisWaiter* waiter) {
  if (in_flight() == calls_.size()) Grow();
  At(next_) = {waiter, worker_.Now() + std::max(options_.timeout - kTick, kTick)};
  if (first_ == next_ && ready()) worker_.timers().Arm(timer_, At(next_).deadline);
  worker_.FlushLater(*this);
  return next_++;
}

void RedisLink::Forget(std::uint64_t number) noexcept {
  if (number >= first_ && number < next_) At(number).waiter = nullptr;
}

void RedisLink::Grow() {
  std::vector<Call> larger(calls_.size() * 2);
  for (std::uint64_t n = first_; n != next_; ++n) larger[n & (larger.size() - 1)] = At(n);
  calls_.swap(larger);
}

void RedisLink::OnOpen() {
  if (state_ == State::kGone) return;
  state_ = State::kGreeting;
  if (!login_.password.empty()) {
    redis::AppendAuth(out(), login_.user, login_.password.reveal());
    Expect(&greeting_);
  }
  if (database_ != 0) {
    redis::AppendSelect(out(), database_);
    Expect(&greeting_);
  }
  // A stopped server still accepts connections: only a reply shows that it lives. It also shows a missing login.
  redis::AppendCommand(out(), {"PING"});
  Expect(&greeting_);
}

void RedisLink::OnGreeting(const redis::Reply& reply) {
  switch (reply.error()) {
    case redis::ErrorKind::kNone:
    case redis::ErrorKind::kNoPassword:
    case redis::ErrorKind::kNoWrites:  // PING says MISCONF too; reads go on
      break;
    case redis::ErrorKind::kNotAllowed: return Fail(RedisTrouble::kLogin);
    default: return Fail(RedisTrouble::kNotServing);
  }
  if (in_flight() > 0) return;
  timer_.Cancel();
  state_ = State::kReady;
  events_->OnLinkReady();
}

void RedisLink::OnData(std::string_view bytes) {
  if (state_ == State::kGone) return;
  if (!reader_.Feed(bytes)) return Fail(RedisTrouble::kGarbage);
  redis::Reply reply;
  redis::ReplyReader::Step step = redis::ReplyReader::Step::kMore;
  while ((step = reader_.Next(reply)) == redis::ReplyReader::Step::kReply) {
    const bool asked = first_ != next_;
    if (!asked && pushes_ == nullptr) return Fail(RedisTrouble::kGarbage);
    RedisWaiter* const waiter = asked ? At(first_++).waiter : pushes_;
    if (waiter != nullptr) waiter->OnReply(reply);
    if (state_ == State::kGone) return;
  }
  if (step == redis::ReplyReader::Step::kRefused) return Fail(RedisTrouble::kGarbage);
  if (first_ == next_ && ready()) timer_.Cancel();
}

void RedisLink::OnEnd() {
  if (state_ == State::kGone) return;
  Fail(state_ == State::kConnecting ? RedisTrouble::kConnect : RedisTrouble::kLost);
}

void RedisLink::OnFailed(const Error&) {
  if (state_ == State::kGone) return;
  Fail(state_ == State::kConnecting ? RedisTrouble::kConnect : RedisTrouble::kLost);
}

void RedisLink::OnRoom() { Flush(); }

void RedisLink::Flush() {
  if (state_ != State::kGone && state_ != State::kConnecting) transport_.Flush();
}

void RedisLink::OnTimer() {
  if (state_ == State::kGone) return;
  if (state_ == State::kConnecting) return Fail(RedisTrouble::kConnect);
  if (state_ == State::kGreeting) return Fail(RedisTrouble::kHung);
  if (first_ == next_) return;
  const TimePoint deadline = At(first_).deadline;
  if (deadline > worker_.Now()) return worker_.timers().Arm(timer_, deadline);
  Fail(RedisTrouble::kHung);
}

void RedisLink::Fail(RedisTrouble trouble) {
  Close();
  // The owner first: a waiter that goes on must not find this server ready.
  events_->OnLinkGone(trouble);
  TellWaiters();
  worker_.Bury(std::unique_ptr<rt::Mortal>(this));
}

void RedisLink::Drop() {
  if (state_ == State::kGone) return;
  Close();
  TellWaiters();
  worker_.Bury(std::unique_ptr<rt::Mortal>(this));
}

void RedisLink::Close() {
  PENSTOCK_ASSERT(state_ != State::kGone);
  state_ = State::kGone;
  timer_.Cancel();
  transport_.Close();
}

void RedisLink::TellWaiters() {
  while (first_ != next_) {
    RedisWaiter* const waiter = At(first_++).waiter;
    if (waiter != nullptr) waiter->OnLost();
  }
  if (pushes_ != nullptr) std::exchange(pushes_, nullptr)->OnLost();
}

}  // namespace penstock::cache
