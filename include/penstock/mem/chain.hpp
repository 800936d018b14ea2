#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "penstock/mem/shared_bytes.hpp"

namespace penstock {

/// Owned by one Worker. Recycles the fixed-size blocks that Chains are made of, so that the hot path never calls
/// malloc; keeps at most `free_max` free blocks and gives the rest back.
class ChunkPool {
 public:
  static constexpr std::size_t kChunkBytes = 4096;  ///< a whole block, its header included

  explicit ChunkPool(std::size_t free_max = 4096) noexcept : free_max_(free_max) {}
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  std::size_t in_use() const noexcept { return in_use_; }  ///< blocks held by chains now

 private:
  friend class Chain;
  struct Chunk {
    Chunk* next = nullptr;
    const char* data = nullptr;  ///< own space or the shared bytes
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t capacity = 0;  ///< 0: shared bytes, nothing can be appended
    SharedBytes shared;
    char* space() noexcept { return reinterpret_cast<char*>(this + 1); }
  };
  static constexpr std::size_t kCapacity = kChunkBytes - sizeof(Chunk);
  Chunk* Take();
  Chunk* TakeShared(SharedBytes bytes, std::string_view piece);
  void Give(Chunk* chunk) noexcept;

  Chunk* free_ = nullptr;
  std::size_t free_count_ = 0;
  std::size_t free_max_;
  std::size_t in_use_ = 0;
};

/// Owned by one Worker. A queue of bytes: appended at the back by copy (or by reference for SharedBytes), offered
/// as iovecs and consumed at the front. An empty chain holds no block.
class Chain {
 public:
  explicit Chain(ChunkPool& pool) noexcept : pool_(&pool) {}
  Chain(Chain&& other) noexcept;
  Chain& operator=(Chain&& other) noexcept;
  ~Chain() { Clear(); }

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }

  void Append(std::string_view bytes);
  void Append(SharedBytes bytes) {
    const std::string_view all = bytes.view();
    Append(std::move(bytes), all);
  }
  /// `piece`, which lies within `bytes`, by reference.
  void Append(SharedBytes bytes, std::string_view piece);
  /// Moves all of `other` (same pool) behind this chain's bytes; copies only what fits into the last block's room.
  void Append(Chain&& other) noexcept;

  /// Room at the back for direct writing: `at_least` bytes (no more than kReserveMax), at most a chunk; Commit(n)
  /// makes n of it part of the chain. Without a Commit the room may stay with the chain until Clear().
  static constexpr std::size_t kReserveMax = 2048;
  std::span<char> Reserve(std::size_t at_least = 1);
  void Commit(std::size_t n) noexcept;

  /// Fills `out` with the first bytes' places; returns how many iovecs were filled.
  std::size_t Peek(std::span<iovec> out) const noexcept;
  template <class Visit>
  void ForEach(Visit&& visit) const {
    for (ChunkPool::Chunk* chunk = head_; chunk != nullptr; chunk = chunk->next) {
      if (chunk->begin != chunk->end) visit(std::string_view(chunk->data + chunk->begin, chunk->end - chunk->begin));
    }
  }
  /// The first contiguous piece; empty when the chain is.
  std::string_view Front() const noexcept;
  void Consume(std::size_t n) noexcept;
  /// Copies up to `capacity` bytes from the front to `to` and consumes them; returns how many.
  std::size_t Read(char* to, std::size_t capacity) noexcept;
  void Clear() noexcept;

 private:
  ChunkPool* pool_;
  ChunkPool::Chunk* head_ = nullptr;
  ChunkPool::Chunk* tail_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace penstock
