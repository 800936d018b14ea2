#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cache/memory/node.hpp"

namespace penstock::cache {

/// Owned by one shard, under its mutex. Finds nodes by the whole digest. Linear hashing (Litwin, VLDB 1980): each
/// insertion that needs it splits one bucket, so the table grows with the entries, a pointer each, and nobody ever
/// waits for a rehash. An entry moves to buckets of higher numbers only, so a walk upwards in portions, with insertions
/// in between, misses nothing that was there when it began.
class DigestTable {
 public:
  DigestTable();

  Node* Find(const Digest& digest) const noexcept;
  /// Makes room for one more; the only call that allocates.
  void Reserve();
  /// Precondition: no node of this digest is in, and room was reserved.
  void Insert(Node& node) noexcept;
  void Remove(Node& node) noexcept;

  std::size_t count() const noexcept { return count_; }
  std::size_t buckets() const noexcept { return buckets_; }
  Node* bucket(std::size_t i) const noexcept { return Slot(i); }
  std::size_t bytes() const noexcept {
    return segments_.size() * HeapCost(kSegment * sizeof(Node*)) +
           HeapCost(segments_.capacity() * sizeof(segments_[0]));
  }

 private:
  static constexpr std::size_t kSegment = 256;  // buckets

  Node*& Slot(std::size_t i) const noexcept { return segments_[i / kSegment][i % kSegment]; }
  std::size_t IndexOf(const Digest& digest) const noexcept;

  std::vector<std::unique_ptr<Node*[]>> segments_;
  std::size_t round_ = kSegment;    ///< buckets when this round of splits began, a power of two
  std::size_t buckets_ = kSegment;  ///< in [round_, 2 * round_)
  std::size_t count_ = 0;
};

}  // namespace penstock::cache
