#include "cache/memory/memory_shard.hpp"

#include <utility>

namespace penstock::cache {

/// Owned by one call. What is to be deleted once the mutex is released: declared before the lock.
class MemoryShard::Retired {
 public:
  Retired() = default;
  ~Retired() {
    while (first_ != nullptr) NodePtr(std::exchange(first_, first_->chain));
  }
  Retired(const Retired&) = delete;
  Retired& operator=(const Retired&) = delete;

  void Add(Node& node) noexcept {
    node.chain = first_;
    first_ = &node;
  }
  /// The few that one call seldom exceeds; more are deleted at once.
  void Add(SharedBytes bytes) noexcept {
    if (bytes_count_ < bytes_.size()) bytes_[bytes_count_++] = std::move(bytes);
  }

 private:
  Node* first_ = nullptr;
  std::array<SharedBytes, 4> bytes_;
  std::size_t bytes_count_ = 0;
};

MemoryShard::MemoryShard(std::uint64_t capacity_bytes, Eviction policy)
    : capacity_(capacity_bytes), policy_(MakeEvictionPolicy(policy, capacity_bytes)) {}

MemoryShard::~MemoryShard() {
  Retired retired;
  for (std::size_t i = 0; i < table_.buckets(); ++i) {
    while (Node* const node = table_.bucket(i)) Remove(*node, false, retired);
  }
}

std::optional<Entry> MemoryShard::Find(const Digest& digest, WallTime now, Counted counted, ColdHit& cold) {
  Retired retired;
  const std::lock_guard lock(mutex_);
  Node* const node = table_.Find(digest);
  if (node == nullptr) {
    misses_ += counted == Counted::kAll ? 1 : 0;
    return std::nullopt;
  }
  Tenant& tenant = TenantOf(*node);
  std::optional<Entry> entry(EntryOf(*node, tenant.id));
  if (!entry->fresh(now)) {
    misses_ += counted == Counted::kAll ? 1 : 0;
    ++expired_;
    ++tenant.expired;
    Remove(*node, true, retired);
    return std::nullopt;
  }
  if (node->compressed && node->bytes.empty()) {
    cold.packed = static_cast<const CompressedNode*>(node)->packed;
    cold.keep = policy_->Proven(*node);
  }
  policy_->Touch(*node);
  if (counted != Counted::kNone) {
    ++hits_;
    ++tenant.hits;
  }
  return entry;
}

bool MemoryShard::Insert(NodePtr node, std::uint64_t tenant_id) {
  Retired retired;
  const std::lock_guard lock(mutex_);
  if (Node* const before = table_.Find(node->digest)) Remove(*before, true, retired);
  if (node->cost > capacity_ / 2) return false;
  Tenant& tenant = TenantFor(tenant_id);
  table_.Reserve();
  MakeRoom(node->cost, retired);
  if (Held() + node->cost > capacity_) return false;
  node->holder = &tenant;
  node_bytes_ += node->cost;
  ++tenant.entries;
  table_.Insert(*node);
  policy_->Admit(*node.release());
  return true;
}

void MemoryShard::Warm(const Digest& digest, const SharedBytes& packed, SharedBytes bytes) {
  Retired retired;
  const std::lock_guard lock(mutex_);
  const auto find = [&]() -> CompressedNode* {
    Node* const node = table_.Find(digest);
    if (node == nullptr || !node->compressed || !node->bytes.empty()) return nullptr;
    auto* const cold = static_cast<CompressedNode*>(node);
    return cold->packed.view().data() == packed.view().data() ? cold : nullptr;
  };
  CompressedNode* node = find();
  const std::size_t cost = BytesCost(bytes.size());
  if (node == nullptr || node->cost + cost > capacity_ / 2) return;
  MakeRoom(cost, retired);
  node = find();  // it may have been what had to go
  if (node == nullptr || Held() + cost > capacity_) return;
  policy_->Recost(*node, static_cast<std::uint32_t>(node->cost + cost));
  node_bytes_ += cost;
  node->bytes = std::move(bytes);
}

bool MemoryShard::Erase(const Digest& digest) {
  Retired retired;
  const std::lock_guard lock(mutex_);
  Node* const node = table_.Find(digest);
  if (node != nullptr) Remove(*node, false, retired);
  return node != nullptr;
}

std::size_t MemoryShard::ClearSome(const PurgeScope& scope, std::size_t& next, bool& done) {
  constexpr std::size_t kBuckets = 1024;
  Retired retired;
  const std::lock_guard lock(mutex_);
  std::size_t removed = 0;
  for (std::size_t n = 0; n < kBuckets && next < table_.buckets(); ++n, ++next) {
    for (Node* node = table_.bucket(next); node != nullptr;) {
      Node* const following = node->chain;
      if (scope.tenant.value_or(TenantOf(*node).id) == TenantOf(*node).id &&
          scope.model.value_or(node->model) == node->model) {
        Remove(*node, false, retired);
        ++removed;
      }
      node = following;
    }
  }
  done = next == table_.buckets();
  return removed;
}

bool MemoryShard::Resize(std::uint64_t capacity_bytes) {
  constexpr std::size_t kEntries = 1024;
  Retired retired;
  const std::lock_guard lock(mutex_);
  capacity_ = capacity_bytes;
  policy_->Resize(capacity_bytes);
  for (std::size_t n = 0; n < kEntries && Held() > capacity_; ++n) {
    if (!EvictOne(retired)) return true;
  }
  return Held() <= capacity_;
}

void MemoryShard::AddUse(MemoryUse& use) const {
  const std::lock_guard lock(mutex_);
  use.entries += table_.count();
  use.bytes += Held();
  use.hits += hits_;
  use.misses += misses_;
  use.evictions += evictions_;
  use.expired += expired_;
}

void MemoryShard::AddTenants(std::unordered_map<std::uint64_t, MemoryUse>& uses) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, tenant] : tenants_) {
    MemoryUse& use = uses[id];
    use.entries += tenant.entries;
    use.bytes += tenant.bytes();
    use.hits += tenant.hits;
    use.evictions += tenant.evictions;
    use.expired += tenant.expired;
  }
}

MemoryShard::Tenant& MemoryShard::TenantFor(std::uint64_t id) {
  const auto found = tenants_.find(id);
  if (found != tenants_.end()) return found->second;
  if (tenants_.size() >= kTenantsRemembered)
    std::erase_if(tenants_, [](const auto& t) { return t.second.entries == 0; });
  Tenant& tenant = tenants_[id];
  tenant.id = id;
  return tenant;
}

std::uint64_t MemoryShard::Held() const noexcept {
  const std::size_t tenants =
      tenants_.size() * HeapCost(sizeof(std::pair<const std::uint64_t, Tenant>) + sizeof(void*)) +
      HeapCost(tenants_.bucket_count() * sizeof(void*));
  return sizeof *this + node_bytes_ + table_.bytes() + policy_->bytes() + tenants;
}

void MemoryShard::MakeRoom(std::uint64_t cost, Retired& retired) {
  while (Held() + cost > capacity_ && EvictOne(retired)) {}
}

bool MemoryShard::EvictOne(Retired& retired) {
  Resident* const resident = policy_->Evict();
  if (resident == nullptr) return false;
  auto& node = static_cast<Node&>(*resident);
  if (node.compressed && !node.bytes.empty()) {
    Chill(static_cast<CompressedNode&>(node), retired);
    return true;
  }
  ++evictions_;
  ++TenantOf(node).evictions;
  Drop(node, retired);
  return true;
}

void MemoryShard::Chill(CompressedNode& node, Retired& retired) {
  const std::size_t cost = BytesCost(node.bytes.size());
  node.cost -= static_cast<std::uint32_t>(cost);
  node_bytes_ -= cost;
  retired.Add(std::exchange(node.bytes, {}));
  policy_->Admit(node);
}

void MemoryShard::Remove(Node& node, bool replaced, Retired& retired) {
  policy_->Forget(node, replaced);
  Drop(node, retired);
}

void MemoryShard::Drop(Node& node, Retired& retired) {
  table_.Remove(node);
  node_bytes_ -= node.cost;
  --TenantOf(node).entries;
  retired.Add(node);
}

}  // namespace penstock::cache
