#include "cache/redis/writes.hpp"

#include "cache/redis/call.hpp"
#include "cache/redis/key.hpp"
#include "penstock/redis/command.hpp"

namespace penstock::cache {

/// Owned by one Worker. One SET until its reply; used again and again.
class RedisWrite final : private RedisCall {
 public:
  RedisWrite(RedisTopology& topology, RedisWrites& owner) noexcept
      : RedisCall(topology, Duration::max()), owner_(owner), key_(Digest{}) {}

  bool Begin(const Digest& digest, const Entry& entry, std::uint64_t ttl_ms) {
    key_ = RedisKey(digest);
    header_ = EncodeEnvelope(digest, entry);
    bytes_ = entry.bytes;
    ttl_ms_ = ttl_ms;
    return Send(key_.view()) == Sent::kYes;
  }
  SharedBytes& bytes() noexcept { return bytes_; }

 private:
  void Append(Chain& out) override {
    redis::AppendSet(out, key_.view(), {header_.data(), header_.size()}, bytes_, ttl_ms_);
  }
  void OnAnswer(const redis::Reply& reply) override {
    RedisNode& answered = node();
    owner_.Release(*this);
    answered.OnWriteReply(reply);
  }
  void OnNoAnswer() override { owner_.Release(*this); }

  RedisWrites& owner_;
  RedisKey key_;
  EnvelopeHeader header_{};
  SharedBytes bytes_;
  std::uint64_t ttl_ms_ = 0;
};

RedisWrites::RedisWrites(RedisTopology& topology) noexcept : topology_(topology) {}

RedisWrites::~RedisWrites() = default;

bool RedisWrites::Send(const Digest& digest, const Entry& entry, std::uint64_t ttl_ms) {
  const RedisKey key(digest);
  RedisNode* const node = topology_.NodeFor(key.view());
  RedisLink* const link = node == nullptr ? nullptr : node->link();
  if (link == nullptr || link->full() || link->unsent() > RedisTier::kUnsentMax) return false;
  if (topology_.redirects() && kept_ + entry.bytes.size() <= RedisTier::kUnconfirmedMax) {
    if (free_.empty()) {
      writes_.push_back(std::make_unique<RedisWrite>(topology_, *this));
      free_.reserve(writes_.size());
      free_.push_back(writes_.back().get());
    }
    RedisWrite& write = *free_.back();
    free_.pop_back();
    kept_ += entry.bytes.size();
    if (write.Begin(digest, entry, ttl_ms)) return true;
    Release(write);
    return false;
  }
  const EnvelopeHeader header = EncodeEnvelope(digest, entry);
  redis::AppendSet(link->out(), key.view(), {header.data(), header.size()}, entry.bytes, ttl_ms);
  link->Expect(&node->write_sink());
  return true;
}

void RedisWrites::Release(RedisWrite& write) noexcept {
  kept_ -= write.bytes().size();
  write.bytes() = {};
  free_.push_back(&write);
}

}  // namespace penstock::cache
