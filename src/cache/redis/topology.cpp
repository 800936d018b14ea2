#include "cache/redis/topology.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "penstock/redis/command.hpp"

namespace penstock::cache {

namespace {

/// A port as an integer (CLUSTER SLOTS) or as text (SENTINEL); 0 when it is none.
std::uint16_t PortOf(const redis::Reply& reply) noexcept {
  std::int64_t port = reply.integer();
  const std::string_view text = reply.text();
  if (!text.empty() && std::from_chars(text.data(), text.data() + text.size(), port).ptr != text.data() + text.size()) {
    return 0;
  }
  return port > 0 && port <= 65535 ? static_cast<std::uint16_t>(port) : 0;
}

}  // namespace

RedisTopology::RedisTopology(const RedisContext& context, RedisReach reach, RedisTopologyEvents& events)
    : context_(context),
      events_(events),
      asks_(context.options.mode == RedisMode::kSentinel ||
            (context.options.mode == RedisMode::kCluster && reach == RedisReach::kEveryKey)),
      timer_(this, [](void* self) { static_cast<RedisTopology*>(self)->Ask(); }) {
  const RedisOptions& options = context_.options;
  if (asks_ && options.mode == RedisMode::kCluster) slots_.resize(redis::kSlots);
  for (const redis::Url& url : options.urls) {
    if (options.mode == RedisMode::kSentinel) {
      sentinels_.push_back(new RedisNode(context_, url, 0, url.host, url.port, *this));
      sentinels_.back()->Begin();
    } else {
      Add(url.host, url.port, options.mode == RedisMode::kCluster ? 0 : url.database);  // a cluster has database 0 only
      if (options.mode == RedisMode::kSingle) break;
    }
  }
  seeds_ = nodes_.size();
}

RedisTopology::~RedisTopology() { Close(); }

void RedisTopology::Close() {
  timer_.Cancel();
  // Waiters are told while the servers go, and may ask for more: there is none any more.
  slots_.clear();
  for (RedisNode* node : std::exchange(nodes_, {})) node->Retire();
  for (RedisNode* node : std::exchange(sentinels_, {})) node->Retire();
}

RedisNode& RedisTopology::Add(std::string_view host, std::uint16_t port, std::uint32_t database) {
  nodes_.push_back(new RedisNode(context_, context_.options.urls.front(), database, host, port, *this));
  RedisNode& node = *nodes_.back();
  node.Begin();
  return node;
}

RedisNode* RedisTopology::FindOrAdd(std::string_view host, std::uint16_t port) {
  const auto known = std::find_if(nodes_.begin(), nodes_.end(), [&](const RedisNode* n) { return n->Is(host, port); });
  if (known != nodes_.end()) return *known;
  return nodes_.size() < kNodesMax ? &Add(host, port, 0) : nullptr;
}

RedisNode* RedisTopology::NodeFor(std::string_view key) noexcept {
  if (!slots_.empty()) {
    if (RedisNode* node = slots_[redis::KeySlot(key)]; node != nullptr) return node;
    if (RedisNode* node = AnyServer(); node != nullptr) return node;  // it will say where
  }
  return nodes_.empty() ? nullptr : nodes_.front();
}

RedisNode* RedisTopology::Follow(const redis::Reply& error, RedisNode& from) {
  const std::optional<redis::Redirect> redirect = redis::Redirect::Parse(error.text());
  if (slots_.empty() || !redirect) return nullptr;
  const std::string_view host = redirect->host.empty() ? from.host() : redirect->host;
  RedisNode* const node = FindOrAdd(host, redirect->port);
  if (error.error() == redis::ErrorKind::kMoved) {
    slots_[redirect->slot] = node;
    Doubt();  // where one slot went, others did
    events_.OnServersChanged();
  }
  return node;
}

RedisNode* RedisTopology::AnyServer() noexcept {
  const auto found =
      std::find_if(nodes_.begin(), nodes_.end(), [](RedisNode* node) { return node->link() != nullptr; });
  return found == nodes_.end() ? nullptr : *found;
}

void RedisTopology::TellUsed() {
  for (RedisNode* node : nodes_) node->TellUsed();
}

std::size_t RedisTopology::in_flight() const noexcept {
  std::size_t sum = 0;
  for (const RedisNode* node : nodes_) sum += node->in_flight();
  return sum;
}

bool RedisTopology::IsSentinel(const RedisNode& node) const noexcept {
  return std::find(sentinels_.begin(), sentinels_.end(), &node) != sentinels_.end();
}

void RedisTopology::OnNodeReady(RedisNode& node) {
  Ask();
  if (!IsSentinel(node)) return events_.OnServersChanged();
  if (known_) TellSentinels();  // else its answer tells whether it is of use
}

void RedisTopology::OnNodeDown(RedisNode& node) {
  if (IsSentinel(node)) return;
  Doubt();
  events_.OnServersChanged();
}

void RedisTopology::OnWriteError(RedisNode& node, const redis::Reply& error) {
  switch (error.error()) {
    case redis::ErrorKind::kMoved:
      Follow(error, node);  // for the next one; this write is dropped
      break;
    case redis::ErrorKind::kReadOnly: Doubt(); break;  // a master no more
    default: break;
  }
}

void RedisTopology::Doubt() {
  if (!asks_) return;
  if (std::exchange(known_, false) || !timer_.armed()) context_.worker.Arm(timer_, context_.options.timeout);
}

void RedisTopology::Ask() {
  const bool all_trusted =
      std::all_of(sentinels_.begin(), sentinels_.end(), [](const RedisNode* node) { return node->trusted(); });
  if (!asks_ || (known_ && all_trusted)) return;
  // Until it is known, again: the next second another may be ready.
  context_.worker.Arm(timer_, RedisTier::kProbeInterval);
  RedisNode* const node = asked_ == nullptr ? WhomToAsk() : nullptr;
  if (node == nullptr) return;
  RedisLink& link = *node->link();
  if (context_.options.mode == RedisMode::kSentinel) {
    redis::AppendCommand(link.out(), {"SENTINEL", "get-master-addr-by-name", context_.options.master});
  } else {
    redis::AppendCommand(link.out(), {"CLUSTER", "SLOTS"});
  }
  asked_ = node;
  link.Expect(&question_);
}

RedisNode* RedisTopology::WhomToAsk() noexcept {
  const auto& servers = context_.options.mode == RedisMode::kSentinel ? sentinels_ : nodes_;
  const auto found = std::find_if(servers.begin(), servers.end(), [this](RedisNode* node) {
    return node->link() != nullptr && !node->link()->full() && !(known_ && node->trusted());
  });
  return found == servers.end() ? nullptr : *found;
}

void RedisTopology::OnAnswer(const redis::Reply& reply) {
  RedisNode& from = *std::exchange(asked_, nullptr);
  if (context_.options.mode == RedisMode::kSentinel) return ReadMaster(reply, from);
  if (!reply.is(redis::ReplyType::kArray) || reply.elements() == 0)
    return;  // an error, or nobody knows: the timer asks on
  known_ = ReadSlots(reply, from) && EveryOwnerServes();
  RetireUnused();
  events_.OnServersChanged();
}

void RedisTopology::ReadMaster(const redis::Reply& reply, RedisNode& from) {
  const bool named = reply.is(redis::ReplyType::kArray) && reply.elements() >= 2;
  const std::string_view host = named ? reply.First().text() : std::string_view();
  const std::uint16_t port = named ? PortOf(reply.First().Next()) : std::uint16_t{0};
  if (host.empty() || port == 0) return Distrust(from, reply);
  from.Trust();
  if (known_) return from.TellUsed();  // it was only to say that it is of use: the master is another's word
  known_ = true;
  TellSentinels();
  if (!nodes_.empty() && nodes_.front()->Is(host, port)) {
    known_ = nodes_.front()->link() != nullptr;  // the old one still: the sentinels have not agreed yet
    return;
  }
  for (RedisNode* node : std::exchange(nodes_, {})) node->Retire();
  Add(host, port, context_.options.urls.front().database);
}

void RedisTopology::Distrust(RedisNode& sentinel, const redis::Reply& reply) {
  // The timer asks on: another, if there is one.
  sentinels_.erase(std::find(sentinels_.begin(), sentinels_.end(), &sentinel));
  sentinels_.push_back(&sentinel);
  if (reply.error() == redis::ErrorKind::kNotAllowed) return sentinel.OnErrorReply(reply.error());
  sentinel.Distrust(reply.is(redis::ReplyType::kError) ? RedisTrouble::kNoSentinel : RedisTrouble::kNoMaster);
}

void RedisTopology::TellSentinels() {
  for (RedisNode* sentinel : sentinels_) sentinel->TellUsed();
}

bool RedisTopology::ReadSlots(const redis::Reply& reply, RedisNode& from) {
  redis::Reply range = reply.First();
  for (std::size_t i = 0; i < reply.elements(); ++i) {
    if (i > 0) range = range.Next();
    if (!ReadSlotRange(range, from)) return false;
  }
  return true;
}

bool RedisTopology::ReadSlotRange(const redis::Reply& range, RedisNode& from) {
  if (range.elements() < 3) return false;
  const redis::Reply first = range.First();
  const redis::Reply last = first.Next();
  const redis::Reply master = last.Next();
  if (master.elements() < 2 || first.integer() < 0 || first.integer() > last.integer() ||
      last.integer() >= redis::kSlots) {
    return false;
  }
  const std::string_view said = master.First().text();
  const std::uint16_t port = PortOf(master.First().Next());
  if (port == 0) return false;
  RedisNode* const node = FindOrAdd(said.empty() || said == "?" ? from.host() : said, port);
  std::fill(slots_.begin() + first.integer(), slots_.begin() + last.integer() + 1, node);
  return true;
}

bool RedisTopology::EveryOwnerServes() const noexcept {
  return std::all_of(slots_.begin(), slots_.end(),
                     [](RedisNode* node) { return node == nullptr || node->link() != nullptr; });
}

void RedisTopology::RetireUnused() {
  std::vector<RedisNode*> kept;
  std::vector<RedisNode*> gone;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const bool used = i < seeds_ || std::find(slots_.begin(), slots_.end(), nodes_[i]) != slots_.end();
    (used ? kept : gone).push_back(nodes_[i]);
  }
  nodes_.swap(kept);
  for (RedisNode* node : gone) node->Retire();
}

}  // namespace penstock::cache
