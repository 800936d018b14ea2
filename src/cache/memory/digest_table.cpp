#include "cache/memory/digest_table.hpp"

namespace penstock::cache {

DigestTable::DigestTable() { segments_.push_back(std::make_unique<Node*[]>(kSegment)); }

std::size_t DigestTable::IndexOf(const Digest& digest) const noexcept {
  const std::uint64_t hash = digest.word(1);
  const std::size_t index = hash & (2 * round_ - 1);
  return index < buckets_ ? index : hash & (round_ - 1);
}

Node* DigestTable::Find(const Digest& digest) const noexcept {
  Node* node = Slot(IndexOf(digest));
  while (node != nullptr && node->digest != digest) node = node->chain;
  return node;
}

void DigestTable::Reserve() {
  if (count_ < buckets_) return;
  if (buckets_ % kSegment == 0) segments_.push_back(std::make_unique<Node*[]>(kSegment));
  Node* node = Slot(buckets_ - round_);
  Slot(buckets_ - round_) = nullptr;
  ++buckets_;
  while (node != nullptr) {
    Node* const next = node->chain;
    Node*& slot = Slot(IndexOf(node->digest));
    node->chain = slot;
    slot = node;
    node = next;
  }
  if (buckets_ == 2 * round_) round_ = buckets_;
}

void DigestTable::Insert(Node& node) noexcept {
  Node*& slot = Slot(IndexOf(node.digest));
  node.chain = slot;
  slot = &node;
  ++count_;
}

void DigestTable::Remove(Node& node) noexcept {
  Node** place = &Slot(IndexOf(node.digest));
  while (*place != &node) place = &(*place)->chain;
  *place = node.chain;
  node.chain = nullptr;
  --count_;
}

}  // namespace penstock::cache
