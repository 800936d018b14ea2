#include "cache/redis/lookup.hpp"

#include <utility>

#include "penstock/cache/envelope.hpp"
#include "penstock/redis/command.hpp"

namespace penstock::cache {

/// Half a timeout is left for the second server: a request is never delayed by much more than one.
RedisLookup::RedisLookup(RedisTopology& topology, const PurgedKeys& purged, const Digest& digest, const Scope& scope,
                         WallTime now) noexcept
    : RedisCall(topology, topology.options().timeout / 2),
      purged_(purged),
      digest_(digest),
      key_(digest),
      scope_(scope),
      now_(now) {}

bool RedisLookup::Begin() {
  const Sent sent = Send(key_.view());
  if (sent == Sent::kNoServer) ++topology().stats().skipped;
  if (sent == Sent::kFull) ++topology().stats().refused;
  return sent == Sent::kYes;
}

void RedisLookup::Append(Chain& out) { redis::AppendGet(out, key_.view()); }

void RedisLookup::OnAnswer(const redis::Reply& reply) {
  RedisStats& stats = topology().stats();
  switch (reply.type()) {
    case redis::ReplyType::kNil: ++stats.misses; break;
    case redis::ReplyType::kBulk: Take(reply.text()); break;
    case redis::ReplyType::kError:
      ++stats.failed;
      node().OnErrorReply(reply.error());
      break;
    default: ++stats.failed; node().Drop(RedisTrouble::kGarbage);
  }
  done_.Set();
}

void RedisLookup::OnNoAnswer() {
  ++topology().stats().failed;
  done_.Set();
}

void RedisLookup::Take(std::string_view bytes) {
  RedisStats& stats = topology().stats();
  if (bytes.size() > kEnvelopeHeaderBytes + topology().options().entry_max) {
    ++stats.misses;
    return;
  }
  Result<Entry, EnvelopeFault> read = DecodeEnvelope(bytes, digest_, scope_);
  if (!read.has_value()) {
    ++stats.corrupt;
  } else if (!read->fresh(now_) || purged_.Outdates(digest_, read->purges_heard)) {
    ++stats.misses;
  } else {
    ++stats.hits;
    entry_ = std::move(*read);
  }
}

}  // namespace penstock::cache
