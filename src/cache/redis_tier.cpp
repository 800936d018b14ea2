#include "penstock/cache/redis_tier.hpp"

#include <algorithm>
#include <utility>

#include "cache/redis_topology.hpp"
#include "penstock/cache/envelope.hpp"
#include "penstock/redis/command.hpp"

namespace penstock::cache {

namespace {

/// The key of an entry: a prefix with the envelope's version, so that versions live side by side, and the digest in
/// hexadecimal, so that people can read it.
class RedisKey {
 public:
  explicit RedisKey(const Digest& digest) noexcept {
    constexpr char kHex[] = "0123456789abcdef";
    static_assert(kEnvelopeVersion == 1 && kPrefix.ends_with(":1:"));
    std::copy(kPrefix.begin(), kPrefix.end(), text_.begin());
    char* at = text_.data() + kPrefix.size();
    for (const std::uint8_t byte : digest.bytes) {
      *at++ = kHex[byte >> 4];
      *at++ = kHex[byte & 15];
    }
  }
  std::string_view view() const noexcept { return {text_.data(), text_.size()}; }

 private:
  static constexpr std::string_view kPrefix = "penstock:1:";
  std::array<char, kPrefix.size() + 64> text_;
};

}  // namespace

/// Owned by one Worker. One GET under way; lives in the frame of Find().
class RedisLookup final : private RedisWaiter {
 public:
  RedisLookup(RedisTopology& topology, const Digest& digest, const Scope& scope, WallTime now) noexcept
      : topology_(topology), digest_(digest), key_(digest), scope_(scope), now_(now), began_(topology.worker().Now()) {}
  ~RedisLookup() {
    if (link_ != nullptr) link_->Forget(number_);
  }
  RedisLookup(const RedisLookup&) = delete;
  RedisLookup& operator=(const RedisLookup&) = delete;

  /// False: nothing was sent, done_ will not come.
  bool Begin() { return Send(topology_.NodeFor(key_.view()), false); }
  rt::Signal& done() noexcept { return done_; }
  std::optional<Entry>& entry() noexcept { return entry_; }

 private:
  bool Send(RedisNode* node, bool asking) {
    RedisLink* const link = node == nullptr ? nullptr : node->link();
    if (link == nullptr) return Count(topology_.stats().skipped);
    if (link->full()) return Count(topology_.stats().refused);
    if (asking) {
      redis::AppendCommand(link->out(), {"ASKING"});
      link->Expect(nullptr);
    }
    redis::AppendGet(link->out(), key_.view());
    number_ = link->Expect(this);
    link_ = link;
    node_ = node;
    return true;
  }

  static bool Count(std::uint64_t& counter) noexcept {
    ++counter;
    return false;
  }

  void OnReply(const redis::Reply& reply) override {
    link_ = nullptr;
    RedisStats& stats = topology_.stats();
    switch (reply.type()) {
      case redis::ReplyType::kNil: ++stats.misses; break;
      case redis::ReplyType::kBulk: Take(reply.text()); break;
      case redis::ReplyType::kError:
        if (FollowedElsewhere(reply)) return;
        node_->OnErrorReply(reply.error());
        break;
      default: ++stats.failed; node_->Distrust();
    }
    done_.Set();
  }

  void OnLost() override {
    link_ = nullptr;
    ++topology_.stats().failed;
    done_.Set();
  }

  void Take(std::string_view bytes) {
    RedisStats& stats = topology_.stats();
    Result<Entry, EnvelopeFault> read = DecodeEnvelope(bytes, digest_, scope_);
    if (!read.has_value()) {
      ++stats.corrupt;
    } else if (!read->fresh(now_)) {
      ++stats.misses;
    } else {
      ++stats.hits;
      entry_ = std::move(*read);
    }
  }

  /// Sent on where MOVED or ASK points, if that can be had in about the time that is left. Otherwise counted.
  bool FollowedElsewhere(const redis::Reply& error) {
    const redis::ErrorKind kind = error.error();
    RedisStats& stats = topology_.stats();
    if (kind != redis::ErrorKind::kMoved && kind != redis::ErrorKind::kAsk) return Count(stats.failed);
    RedisNode* const node = topology_.Follow(error, *node_);
    const bool late = topology_.worker().Now() - began_ > topology_.options().timeout / 2;
    if (node == nullptr || late || ++redirects_ > RedisTier::kRedirectsMax) return Count(stats.failed);
    if (!Send(node, kind == redis::ErrorKind::kAsk)) return false;
    ++stats.redirects;
    return true;
  }

  RedisTopology& topology_;
  const Digest digest_;
  const RedisKey key_;
  const Scope scope_;
  const WallTime now_;
  const TimePoint began_;
  RedisNode* node_ = nullptr;
  RedisLink* link_ = nullptr;  ///< while a reply is due
  std::uint64_t number_ = 0;
  unsigned redirects_ = 0;
  std::optional<Entry> entry_;
  rt::Signal done_;
};

std::string_view RedisTroubleName(RedisTrouble trouble) noexcept {
  switch (trouble) {
    case RedisTrouble::kNone: return "none";
    case RedisTrouble::kName: return "name";
    case RedisTrouble::kConnect: return "connect";
    case RedisTrouble::kLogin: return "login";
    case RedisTrouble::kNotServing: return "not_serving";
    case RedisTrouble::kHung: return "hung";
    case RedisTrouble::kLost: return "lost";
    case RedisTrouble::kGarbage: return "garbage";
  }
  return "";
}

RedisTier::RedisTier(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisEvents& events)
    : options_(std::move(options)),
      topology_(std::make_unique<RedisTopology>(RedisContext{worker, resolver, options_, events, stats_})) {}

RedisTier::~RedisTier() = default;

rt::Task<std::optional<Entry>> RedisTier::Find(Digest digest, Scope scope, WallTime now) {
  RedisLookup lookup(*topology_, digest, scope, now);
  if (!lookup.Begin()) co_return std::nullopt;
  co_await lookup.done();
  co_return std::move(lookup.entry());
}

void RedisTier::Store(const Digest& digest, const Entry& entry, WallTime now) {
  const RedisKey key(digest);
  RedisNode* const node = topology_->NodeFor(key.view());
  RedisLink* const link = node == nullptr ? nullptr : node->link();
  const std::int64_t ttl_ms = (entry.expires_at.us - now.us) / 1000;
  if (link == nullptr || link->full() || link->unsent() > kUnsentMax || ttl_ms <= 0 ||
      entry.bytes.size() > options_.entry_max) {
    ++stats_.stores_skipped;
    return;
  }
  const EnvelopeHeader header = EncodeEnvelope(digest, entry);
  redis::AppendSet(link->out(), key.view(), {header.data(), header.size()}, entry.bytes,
                   static_cast<std::uint64_t>(ttl_ms));
  link->Expect(&node->write_sink());
  ++stats_.stores;
}

void RedisTier::Remove(const Digest& digest) {
  const RedisKey key(digest);
  RedisNode* const node = topology_->NodeFor(key.view());
  RedisLink* const link = node == nullptr ? nullptr : node->link();
  if (link == nullptr || link->full()) return;
  redis::AppendDelete(link->out(), key.view());
  link->Expect(&node->write_sink());
}

bool RedisTier::ready() const noexcept { return topology_->ready(); }

std::size_t RedisTier::in_flight() const noexcept { return topology_->in_flight(); }

}  // namespace penstock::cache
