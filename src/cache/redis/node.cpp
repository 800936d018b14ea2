#include "cache/redis/node.hpp"

#include <utility>

namespace penstock::cache {

RedisNode::RedisNode(const RedisContext& context, const redis::Url& login, std::uint32_t database,
                     std::string_view host, std::uint16_t port, RedisNodeEvents& events)
    : context_(context),
      login_(login),
      database_(database),
      host_(host),
      port_(port),
      name_(std::string(host) + ":" + std::to_string(port)),
      events_(events),
      timer_(this, [](void* self) { static_cast<RedisNode*>(self)->Connect(); }) {}

RedisNode::~RedisNode() {
  if (link_ != nullptr) std::exchange(link_, nullptr)->Drop();
}

void RedisNode::Begin() {
  addresses_ = context_.resolver.Watch(host_, port_, context_.worker, [this] {
    if (link_ == nullptr && !timer_.armed()) Connect();
  });
  if (!addresses_->addresses().empty()) Connect();
}

void RedisNode::Retire() {
  ready_ = false;
  timer_.Cancel();
  addresses_.reset();
  if (link_ != nullptr) std::exchange(link_, nullptr)->Drop();
  context_.worker.Bury(std::unique_ptr<rt::Mortal>(this));
}

void RedisNode::Connect() {
  const net::Resolver::Addresses& addresses = addresses_->addresses();
  if (addresses.empty()) return Rest(RedisTrouble::kName);
  session_ = ++context_.stats.connects;
  link_ = new RedisLink(context_.worker, context_.options, login_, database_, *this);
  link_->Connect(addresses[next_address_++ % addresses.size()], host_);
}

void RedisNode::OnLinkReady() {
  ready_ = true;
  events_.OnNodeReady(*this);
}

void RedisNode::TellUsed() {
  if (!ready_ || !trusted_) return;
  Tell(RedisTrouble::kNone);
}

void RedisNode::Distrust(RedisTrouble trouble) {
  trusted_ = false;
  Tell(trouble);
}

void RedisNode::Tell(RedisTrouble trouble) {
  if (told_ == trouble && ever_told_) return;
  told_ = trouble;
  ever_told_ = true;
  context_.events.OnRedisServer(name_, trouble);
}

void RedisNode::OnLinkGone(RedisTrouble trouble) {
  link_ = nullptr;
  Leave(trouble);
}

void RedisNode::Leave(RedisTrouble trouble) {
  const bool was_ready = std::exchange(ready_, false);
  if (trouble == RedisTrouble::kGarbage) ++context_.stats.garbage;
  if (trouble == RedisTrouble::kHung && was_ready) ++context_.stats.timeouts;
  // Only a connection that had worked and was merely lost is worth another try at once.
  const bool at_once = was_ready && (trouble == RedisTrouble::kLost || trouble == RedisTrouble::kGarbage) &&
                       !breaker_.Failed(context_.worker.Now());
  if (at_once) {
    Connect();
  } else {
    Rest(trouble);
  }
  if (was_ready) events_.OnNodeDown(*this);
}

void RedisNode::Rest(RedisTrouble trouble) {
  context_.worker.Arm(timer_, RedisTier::kProbeInterval);
  if (trouble == RedisTrouble::kConnect) addresses_->RefreshSoon();
  Tell(trouble);
}

void RedisNode::OnWriteReply(const redis::Reply& reply) {
  if (!reply.is(redis::ReplyType::kError)) return;
  ++context_.stats.stores_failed;
  events_.OnWriteError(*this, reply);
  OnErrorReply(reply.error());
}

void RedisNode::OnErrorReply(redis::ErrorKind kind) {
  RedisTrouble trouble = RedisTrouble::kNone;
  if (kind == redis::ErrorKind::kNotAllowed) {
    trouble = RedisTrouble::kLogin;
  } else if (kind == redis::ErrorKind::kNotServing || kind == redis::ErrorKind::kTryAgain) {
    if (breaker_.Failed(context_.worker.Now())) trouble = RedisTrouble::kNotServing;
  }
  if (trouble != RedisTrouble::kNone) Drop(trouble);
}

void RedisNode::Drop(RedisTrouble trouble) {
  if (link_ == nullptr) return;
  RedisLink* const link = std::exchange(link_, nullptr);
  Leave(trouble);
  link->Drop();
}

}  // namespace penstock::cache
