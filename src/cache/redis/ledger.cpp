#include "cache/redis/ledger.hpp"

#include <algorithm>
#include <utility>

#include "cache/redis/key.hpp"
#include "cache/redis/purge_protocol.hpp"

namespace penstock::cache {

namespace {

constexpr std::string_view kKept = "10000";
static_assert(PurgedKeys::kMax == 10'000);

}  // namespace

RedisLedger::RedisLedger(RedisTopology& topology, RedisPurges& purges, RedisEvents& events)
    : topology_(topology),
      purges_(purges),
      events_(events),
      timer_(this, [](void* self) { static_cast<RedisLedger*>(self)->OnTimer(); }) {}

void RedisLedger::Stop() {
  running_ = true;  // nothing begins any more
  agreed_at_ = 0;
  timer_.Cancel();
  task_.Destroy();
}

void RedisLedger::Arm() { topology_.worker().Arm(timer_, agreed() ? kTickOpen : kTickClosed); }

std::uint64_t RedisLedger::Session(std::string_view key) noexcept {
  const RedisNode* const node = topology_.NodeFor(key);
  return node == nullptr ? 0 : node->session();
}

bool RedisLedger::SameServers() noexcept {
  const std::uint64_t epochs = Session(kEpochsKey);
  const std::uint64_t purged = Session(kPurgedKey);
  return (epochs == 0 || epochs == epochs_session_) && (purged == 0 || purged == purged_session_);
}

void RedisLedger::OnTimer() {
  if (running_) return;
  const std::uint64_t heard = purges_.heard();
  if (!agreed()) return Check();
  since_ = std::max(since_, heard);  // heard while agreed: none before it was missed
  if (untold_ || purges_.owes()) return Begin();
  Arm();
}

void RedisLedger::Check() {
  if (!agreed() || !SameServers()) agreed_at_ = 0;
  if (agreed_at_ != 0) return topology_.TellUsed();  // one more server of a cluster
  if (running_) return;
  if (topology_.ready() && RedisPurges::Hears(purges_.hearing())) return Begin();
  Arm();
}

void RedisLedger::Begin() {
  running_ = true;
  task_ = Run();
  task_.Start();
}

rt::Task<void> RedisLedger::Run() {
  std::uint64_t hearing = 0;
  bool done = false;
  do {
    hearing = purges_.hearing();
    done = RedisPurges::Hears(hearing);
    if (done) done = co_await ReadPurged();
    if (done) done = co_await AgreeOnEpochs();
  } while (done && (hearing != purges_.hearing() || !SameServers()));
  if (done) {
    agreed_at_ = hearing;
    topology_.TellUsed();
    co_await TellOwedKeys();
  }
  running_ = false;
  Arm();
}

RedisLedger::Verdict RedisLedger::Judge(RedisQuestion& question, const redis::Reply* reply) {
  if (reply == nullptr) return Verdict::kNotNow;
  const std::string_view text = reply->text();
  switch (reply->error()) {
    case redis::ErrorKind::kNone: return Verdict::kDone;
    case redis::ErrorKind::kMoved:
    case redis::ErrorKind::kAsk: return Verdict::kNotNow;
    case redis::ErrorKind::kNotServing:
    case redis::ErrorKind::kTryAgain: question.node().OnErrorReply(reply->error()); return Verdict::kNotNow;
    case redis::ErrorKind::kReadOnly: topology_.Doubt(); return Verdict::kNotStored;
    case redis::ErrorKind::kNoWrites: return Verdict::kNotStored;
    default: break;
  }
  if (text.starts_with(kNotStored)) {
    if (text.find("READONLY") != std::string_view::npos) topology_.Doubt();
    return Verdict::kNotStored;
  }
  question.node().Drop(text.starts_with("NOAUTH") ? RedisTrouble::kLogin : RedisTrouble::kPurges);
  return Verdict::kNotNow;
}

rt::Task<bool> RedisLedger::ReadPurged() {
  purged_session_ = Session(kPurgedKey);
  const Words nothing = {"EVAL", kPurgeScript, "1", kPurgedKey, kPurgesChannel, kKept, "0"};
  RedisQuestion allowed(topology_, kPurgedKey, nothing);
  if (Judge(allowed, co_await allowed.Answer()) != Verdict::kDone) co_return false;

  const std::string above = "(" + std::to_string(since_);
  const std::string size = std::to_string(kPage);
  std::uint64_t newest = since_;
  std::size_t count = kPage;
  // The newest first: what is purged meanwhile moves the others to later pages, where they are met again.
  for (std::size_t offset = 0; count == kPage && offset <= PurgedKeys::kMax; offset += kPage) {
    const std::string skipped = std::to_string(offset);
    const Words words = {"ZREVRANGEBYSCORE", kPurgedKey, "+inf", above, "WITHSCORES", "LIMIT", skipped, size};
    RedisQuestion page(topology_, kPurgedKey, words);
    const redis::Reply* const reply = co_await page.Answer();
    if (Judge(page, reply) != Verdict::kDone) co_return false;
    if (!TakePurged(*reply, count, newest)) {
      page.node().Drop(RedisTrouble::kGarbage);
      co_return false;
    }
  }
  since_ = newest;
  purges_.SetHeard(newest);
  co_return true;
}

bool RedisLedger::TakePurged(const redis::Reply& reply, std::size_t& count, std::uint64_t& newest) {
  if (!reply.is(redis::ReplyType::kArray) || reply.elements() % 2 != 0) return false;
  count = reply.elements() / 2;
  redis::Reply each = reply;
  for (std::size_t i = 0; i < count; ++i) {
    each = i == 0 ? reply.First() : each.Next();
    const std::optional<Digest> digest = ParseDigest(each.text());
    each = each.Next();
    const std::uint64_t score = EpochOr0(each.text());
    newest = std::max(newest, score);
    if (!digest) continue;
    purges_.keys().Note(*digest, score);
    events_.OnPurgedKey(*digest);
  }
  return true;
}

rt::Task<bool> RedisLedger::AgreeOnEpochs() {
  epochs_session_ = Session(kEpochsKey);
  const Values owed = purges_.OwedEpochs();
  Values there;
  if (!co_await ReadEpochs(there)) co_return false;
  Epochs& epochs = purges_.epochs();
  for (const auto& [name, number] : owed) {
    // Others raised it as high as we did: theirs were other purges than ours.
    const std::uint64_t value = there[name];
    if (value >= epochs.Of(name).load(std::memory_order_relaxed)) epochs.RaiseTo(name, value + 1);
  }
  for (const auto& [name, value] : there) epochs.RaiseTo(name, value);
  const Verdict verdict = co_await RaiseLower(there);
  untold_ = verdict == Verdict::kNotStored;
  if (verdict != Verdict::kDone) co_return untold_;  // ours are in force here; that is all that reading needs
  for (const auto& [name, number] : owed) purges_.SettleEpoch(name, number);
  co_return true;
}

rt::Task<bool> RedisLedger::ReadEpochs(Values& there) {
  std::string cursor = "0";
  const std::string size = std::to_string(kPage);
  for (std::size_t pages = 0; pages < kPagesMax; ++pages) {
    const Words words = {"HSCAN", kEpochsKey, cursor, "COUNT", size};
    RedisQuestion page(topology_, kEpochsKey, words);
    const redis::Reply* const reply = co_await page.Answer();
    if (Judge(page, reply) != Verdict::kDone) co_return false;
    if (reply->elements() != 2 || !reply->First().Next().is(redis::ReplyType::kArray)) {
      page.node().Drop(RedisTrouble::kGarbage);
      co_return false;
    }
    const redis::Reply pairs = reply->First().Next();
    redis::Reply each = pairs;
    for (std::size_t i = 0; i + 1 < pairs.elements(); i += 2) {
      each = i == 0 ? pairs.First() : each.Next();
      const std::string_view name = each.text();
      each = each.Next();
      if (there.size() < Epochs::kNamesMax) there[std::string(name)] = EpochOr0(each.text());
    }
    cursor = reply->First().text();
    if (cursor == "0") co_return true;
  }
  co_return false;
}

/// Also when nothing is lower: a server that refuses scripts must not be used.
rt::Task<RedisLedger::Verdict> RedisLedger::RaiseLower(const Values& there) {
  std::vector<std::pair<std::string, std::string>> lower;
  for (const auto& [name, value] : purges_.epochs().Values()) {
    const auto found = there.find(name);
    if (value > (found == there.end() ? 0 : found->second) && value <= kEpochMax) {
      lower.emplace_back(name, std::to_string(value));
    }
  }
  std::size_t next = 0;
  do {
    Words words = {"EVAL", kRaiseScript, "1", kEpochsKey, kPurgesChannel, "0"};
    for (const std::size_t end = std::min(lower.size(), next + kRaisedAtOnce); next < end; ++next) {
      words.push_back(lower[next].first);
      words.push_back(lower[next].second);
    }
    RedisQuestion raise(topology_, kEpochsKey, words);
    const Verdict verdict = Judge(raise, co_await raise.Answer());
    if (verdict != Verdict::kDone) co_return verdict;
  } while (next < lower.size());
  co_return Verdict::kDone;
}

rt::Task<bool> RedisLedger::TellEpoch(std::string name, std::uint64_t value) {
  purges_.epochs().RaiseTo(name, value);
  const std::uint64_t number = purges_.OweEpoch(name);
  if (!Usable()) co_return false;
  const std::string text = std::to_string(value);
  const Words words = {"EVAL", kRaiseScript, "1", kEpochsKey, kPurgesChannel, "1", name, text};
  RedisQuestion raise(topology_, kEpochsKey, words);
  const redis::Reply* const reply = co_await raise.Answer();
  if (Judge(raise, reply) != Verdict::kDone) co_return false;
  if (reply->elements() == 1) purges_.epochs().RaiseTo(name, EpochOr0(reply->First().text()));
  purges_.SettleEpoch(name, number);
  co_return true;
}

rt::Task<bool> RedisLedger::TellKey(RedisPurges::OwedKey owed) {
  const RedisKey key(owed.digest());
  const Words remove = {"DEL", key.view()};
  const std::string heard = std::to_string(purges_.heard());
  const Words publish = {"EVAL", kPurgeScript, "1", kPurgedKey, kPurgesChannel, kKept, heard, key.hex()};
  // In this order: whoever hears of it finds nothing to fill its memory with any more. Whatever is refused here leaves
  // the key owed and the server in use.
  RedisQuestion removal(topology_, key.view(), remove);
  const redis::Reply* reply = co_await removal.Answer();
  if (reply == nullptr || reply->error() != redis::ErrorKind::kNone) co_return false;
  RedisQuestion publication(topology_, kPurgedKey, publish);
  reply = co_await publication.Answer();
  if (reply == nullptr || reply->error() != redis::ErrorKind::kNone) co_return false;
  // Not left to the listener: with Settle() the key is looked up again.
  purges_.keys().Note(owed.digest(), EpochOr0(reply->text()));
  owed.Settle();
  co_return true;
}

rt::Task<void> RedisLedger::TellOwedKeys() {
  while (auto owed = purges_.TakeOwedKey()) {
    if (!co_await TellKey(std::move(*owed))) co_return;
  }
}

}  // namespace penstock::cache
