#include "cache/redis/call.hpp"

#include <utility>

#include "penstock/redis/command.hpp"

namespace penstock::cache {

RedisCall::Sent RedisCall::Send(std::string_view key) {
  began_ = topology_.worker().Now();
  redirects_ = 0;
  return SendTo(topology_.NodeFor(key), false);
}

void RedisCall::Forget() noexcept {
  if (link_ != nullptr) std::exchange(link_, nullptr)->Forget(number_);
}

RedisCall::Sent RedisCall::SendTo(RedisNode* node, bool asking) {
  RedisLink* const link = node == nullptr ? nullptr : node->link();
  if (link == nullptr) return Sent::kNoServer;
  if (link->full()) return Sent::kFull;
  if (asking) {
    redis::AppendCommand(link->out(), {"ASKING"});
    link->Expect(nullptr);
  }
  Append(link->out());
  number_ = link->Expect(this);
  link_ = link;
  node_ = node;
  return Sent::kYes;
}

void RedisCall::OnReply(const redis::Reply& reply) {
  link_ = nullptr;
  if (!Follow(reply)) OnAnswer(reply);
}

void RedisCall::OnLost() {
  link_ = nullptr;
  OnNoAnswer();
}

bool RedisCall::Follow(const redis::Reply& reply) {
  const redis::ErrorKind kind = reply.error();
  if (kind != redis::ErrorKind::kMoved && kind != redis::ErrorKind::kAsk) return false;
  RedisNode* const node = topology_.Follow(reply, *node_);
  if (node == nullptr || topology_.worker().Now() - began_ > patience_) return false;
  if (++redirects_ > RedisTier::kRedirectsMax) return false;
  if (SendTo(node, kind == redis::ErrorKind::kAsk) != Sent::kYes) return false;
  ++topology_.stats().redirects;
  return true;
}

rt::Task<const redis::Reply*> RedisQuestion::Answer() {
  reply_ = nullptr;
  if (Send(key_) != Sent::kYes) co_return nullptr;
  co_await done_;
  co_return reply_;
}

void RedisQuestion::Append(Chain& out) { redis::AppendCommand(out, words_); }

void RedisQuestion::OnAnswer(const redis::Reply& reply) {
  reply_ = &reply;
  done_.Set();
}

}  // namespace penstock::cache
