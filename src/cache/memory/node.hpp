#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "cache/memory/fair_queue.hpp"
#include "penstock/cache/entry.hpp"

namespace penstock::cache {

/// What `bytes` cost on the heap of glibc's malloc: a word before them, multiples of 16, at least 32; from 128 KiB on
/// (M_MMAP_THRESHOLD) possibly pages of their own.
constexpr std::size_t HeapCost(std::size_t bytes) noexcept {
  constexpr std::size_t kPaged = 128 * 1024;
  constexpr std::size_t kPage = 4096;
  if (bytes >= kPaged) return (bytes + 16 + kPage - 1) / kPage * kPage;
  return std::max<std::size_t>(32, (bytes + 8 + 15) / 16 * 16);
}

/// What the bytes of an entry cost with their reference count.
constexpr std::size_t BytesCost(std::size_t size) noexcept { return HeapCost(size + SharedBytes::kHeaderBytes); }

/// Owned by its shard, under the shard's mutex. An entry as the tier stores it: Entry's fields in an order that fits
/// 120 bytes, which with malloc's word are two cache lines. The tenant is its holder's.
struct Node : Resident {
  Node* chain = nullptr;  ///< the next in its bucket, or in a list of what is to be deleted
  SharedBytes bytes;      ///< empty while only the compressed bytes are kept
  std::uint64_t model = 0;
  WallTime stored_at{};
  WallTime expires_at{};
  llm::UsageEvent usage{};
  llm::Family family{};
  Form form : 1 {};
  bool compressed : 1 = false;  ///< it is a CompressedNode
};
static_assert(sizeof(Node) == 120);

/// Owned by its shard. A large entry that has compressed bytes; uncompressed ones beside them while it is in demand.
struct CompressedNode : Node {
  SharedBytes packed;
};

struct NodeDelete {
  void operator()(Node* node) const noexcept {
    if (node->compressed) {
      delete static_cast<CompressedNode*>(node);
    } else {
      delete node;
    }
  }
};
using NodePtr = std::unique_ptr<Node, NodeDelete>;

/// Allocates; `packed` empty = kept as it is.
NodePtr MakeNode(const Digest& digest, Entry entry, SharedBytes packed);

/// The entry in `node`, whose tenant is `tenant`; without bytes when it is cold.
Entry EntryOf(const Node& node, std::uint64_t tenant) noexcept;

}  // namespace penstock::cache
