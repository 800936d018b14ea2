#include "cache/memory/node.hpp"

#include <utility>

namespace penstock::cache {

NodePtr MakeNode(const Digest& digest, Entry entry, SharedBytes packed) {
  NodePtr node;
  std::size_t cost = 0;
  if (packed.empty()) {
    cost = HeapCost(sizeof(Node)) + BytesCost(entry.bytes.size());
    node.reset(new Node);
    node->bytes = std::move(entry.bytes);
  } else {
    cost = HeapCost(sizeof(CompressedNode)) + BytesCost(packed.size());
    auto* const large = new CompressedNode;
    large->packed = std::move(packed);
    large->compressed = true;
    node.reset(large);
  }
  node->digest = digest;
  node->cost = static_cast<std::uint32_t>(std::min<std::size_t>(cost, UINT32_MAX));
  node->model = entry.scope.model;
  node->stored_at = entry.stored_at;
  node->expires_at = entry.expires_at;
  node->usage = entry.usage;
  node->family = entry.family;
  node->form = entry.form;
  return node;
}

Entry EntryOf(const Node& node, std::uint64_t tenant) noexcept {
  Entry entry;
  entry.bytes = node.bytes;
  entry.form = node.form;
  entry.family = node.family;
  entry.usage = node.usage;
  entry.scope = {tenant, node.model};
  entry.stored_at = node.stored_at;
  entry.expires_at = node.expires_at;
  return entry;
}

}  // namespace penstock::cache
