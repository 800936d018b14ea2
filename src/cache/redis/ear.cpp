#include "cache/redis/ear.hpp"

#include <utility>

#include "cache/redis/purge_protocol.hpp"
#include "penstock/redis/command.hpp"

namespace penstock::cache {

RedisEar::RedisEar(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisPurges& purges,
                   RedisEvents& events)
    : options_(std::move(options)),
      purges_(purges),
      events_(events),
      worker_(worker),
      timer_(this, [](void* self) { static_cast<RedisEar*>(self)->OnTimer(); }),
      topology_(RedisContext{worker, resolver, options_, events, stats_}, RedisReach::kAnyServer, *this) {}

RedisEar::~RedisEar() {
  purges_.SetHearing(false);
  node_ = nullptr;
  timer_.Cancel();
  topology_.Close();
}

void RedisEar::OnServersChanged() {
  if (link_ != nullptr) return;
  node_ = topology_.AnyServer();
  if (node_ == nullptr) return;
  link_ = node_->link();
  link_->Listen(*this);
  redis::AppendCommand(link_->out(), {"SUBSCRIBE", kPurgesChannel});
  link_->Send();
  Ping();  // whose reply shows that the subscription was answered in time
}

void RedisEar::Ping() {
  ++unanswered_;
  redis::AppendCommand(link_->out(), {"PING"});
  link_->Send();
  worker_.Arm(timer_, RedisListener::kPingInterval);
}

void RedisEar::OnTimer() {
  static_assert(RedisListener::kPatience == 2 * RedisListener::kPingInterval);
  if (unanswered_ < 2) return Ping();
  node_->Drop(RedisTrouble::kHung);
}

void RedisEar::OnLost() {
  purges_.SetHearing(false);
  timer_.Cancel();
  unanswered_ = 0;
  node_ = nullptr;
  link_ = nullptr;
  OnServersChanged();  // another may be connected
}

void RedisEar::OnReply(const redis::Reply& reply) {
  // The three kinds of reply that a subscriber gets: "subscribe" channel count, "message" channel text, "pong" text.
  const std::string_view kind = reply.elements() >= 2 ? reply.First().text() : std::string_view();
  if (kind == "message" && reply.elements() == 3) return Obey(reply.First().Next().Next().text());
  if (kind == "pong" && unanswered_ > 0) {
    --unanswered_;
  } else if (kind == "subscribe") {
    OnSubscribed();
  } else if (reply.is(redis::ReplyType::kError) && !RedisPurges::Hears(purges_.hearing())) {
    node_->Drop(RedisTrouble::kPurges);
  } else {
    node_->Drop(RedisTrouble::kGarbage);
  }
}

void RedisEar::OnSubscribed() {
  purges_.SetHearing(true);
  node_->TellUsed();
}

void RedisEar::Obey(std::string_view text) {
  const std::optional<PurgeMessage> message = PurgeMessage::Parse(text);
  if (!message) return;  // of a later version
  if (!message->epoch.empty()) {
    purges_.epochs().RaiseTo(message->epoch, message->value);
    return;
  }
  purges_.keys().Note(message->digest, message->value);  // first: a look-up that OnPurgedKey does not stop sees it
  events_.OnPurgedKey(message->digest);
  purges_.SetHeard(message->value);
}

RedisListener::RedisListener(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisPurges& purges,
                             RedisEvents& events)
    : ear_(std::make_unique<RedisEar>(worker, resolver, std::move(options), purges, events)) {}

RedisListener::~RedisListener() = default;

}  // namespace penstock::cache
