#include "penstock/cache/redis_tier.hpp"

#include <algorithm>
#include <utility>

#include "cache/redis/key.hpp"
#include "cache/redis/ledger.hpp"
#include "cache/redis/lookup.hpp"
#include "cache/redis/topology.hpp"
#include "cache/redis/writes.hpp"
#include "penstock/cache/envelope.hpp"
#include "penstock/redis/command.hpp"
#include "penstock/redis/reply_reader.hpp"

namespace penstock::cache {

/// Owned by one Worker. What a tier is made of; the servers' events go to the ledger.
struct RedisTier::Parts {
  Parts(const RedisContext& context, RedisPurges& purges)
      : ledger(topology, purges, context.events), topology(context, RedisReach::kEveryKey, ledger), writes(topology) {}
  ~Parts() {
    ledger.Stop();
    topology.Close();  // while all that its waiters may turn to is there
  }

  RedisLedger ledger;
  RedisTopology topology;
  RedisWrites writes;
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
    case RedisTrouble::kNoSentinel: return "no_sentinel";
    case RedisTrouble::kNoMaster: return "no_master";
    case RedisTrouble::kPurges: return "purges";
  }
  return "";
}

namespace {

/// No instance may keep what none can read.
RedisOptions Readable(RedisOptions options) {
  options.entry_max = std::min(options.entry_max, redis::ReplyReader::kBulkMax - kEnvelopeHeaderBytes);
  return options;
}

}  // namespace

RedisTier::RedisTier(rt::Worker& worker, net::Resolver& resolver, RedisOptions options, RedisPurges& purges,
                     RedisEvents& events)
    : options_(Readable(std::move(options))),
      purges_(purges),
      events_(events),
      parts_(std::make_unique<Parts>(RedisContext{worker, resolver, options_, events, stats_}, purges)) {}

RedisTier::~RedisTier() = default;

rt::Task<std::optional<Entry>> RedisTier::Find(Digest digest, Scope scope, WallTime now) {
  if (!parts_->ledger.Usable() || purges_.OwesKey(digest)) {
    ++stats_.skipped;
    co_return std::nullopt;
  }
  RedisLookup lookup(parts_->topology, purges_.keys(), digest, scope, now);
  if (!lookup.Begin()) co_return std::nullopt;
  co_await lookup.done();
  co_return std::move(lookup.entry());
}

void RedisTier::Store(const Digest& digest, const Entry& entry, WallTime now) {
  const std::int64_t ttl_ms = (entry.expires_at.us - now.us) / 1000;
  if (ttl_ms > 0 && entry.bytes.size() <= options_.entry_max && parts_->ledger.Usable() &&
      parts_->writes.Send(digest, entry, static_cast<std::uint64_t>(ttl_ms))) {
    ++stats_.stores;
  } else {
    ++stats_.stores_skipped;
  }
}

void RedisTier::Remove(const Digest& digest) {
  if (!parts_->ledger.Usable()) return;
  const RedisKey key(digest);
  RedisNode* const node = parts_->topology.NodeFor(key.view());
  RedisLink* const link = node == nullptr ? nullptr : node->link();
  if (link == nullptr || link->full()) return;
  redis::AppendDelete(link->out(), key.view());
  link->Expect(&node->write_sink());
}

rt::Task<bool> RedisTier::PublishEpoch(std::string name, std::uint64_t value) {
  return parts_->ledger.TellEpoch(std::move(name), value);
}

rt::Task<bool> RedisTier::PurgeKey(Digest digest) {
  std::optional<RedisPurges::OwedKey> owed = purges_.OweKey(digest);
  // From here on nobody looks it up in Redis; what was found there since the caller erased it goes now.
  events_.OnPurgedKey(digest);
  if (!parts_->ledger.Usable()) co_return false;
  if (owed) co_return co_await parts_->ledger.TellKey(std::move(*owed));
  const std::uint64_t all = purges_.epochs().all().load(std::memory_order_relaxed);
  co_return co_await parts_->ledger.TellEpoch(std::string(Epochs::kAll), all);
}

bool RedisTier::ready() const noexcept { return parts_->ledger.agreed() && parts_->topology.ready(); }

std::size_t RedisTier::in_flight() const noexcept { return parts_->topology.in_flight(); }

}  // namespace penstock::cache
