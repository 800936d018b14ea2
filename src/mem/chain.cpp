#include "penstock/mem/chain.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "penstock/base/assert.hpp"

namespace penstock {

ChunkPool::~ChunkPool() {
  PENSTOCK_ASSERT(in_use_ == 0);
  while (free_ != nullptr) {
    Chunk* chunk = free_;
    free_ = chunk->next;
    ::operator delete(chunk);
  }
}

ChunkPool::Chunk* ChunkPool::Take() {
  Chunk* chunk = free_;
  if (chunk != nullptr) {
    free_ = chunk->next;
    --free_count_;
  } else {
    chunk = static_cast<Chunk*>(::operator new(kChunkBytes));
  }
  new (chunk) Chunk;
  chunk->data = chunk->space();
  chunk->capacity = kCapacity;
  ++in_use_;
  return chunk;
}

ChunkPool::Chunk* ChunkPool::TakeShared(SharedBytes bytes, std::string_view piece) {
  Chunk* chunk = Take();
  chunk->data = piece.data();
  chunk->end = piece.size();
  chunk->capacity = 0;
  chunk->shared = std::move(bytes);
  return chunk;
}

void ChunkPool::Give(Chunk* chunk) noexcept {
  chunk->shared = SharedBytes{};
  --in_use_;
  if (free_count_ >= free_max_) {
    ::operator delete(chunk);
    return;
  }
  chunk->next = free_;
  free_ = chunk;
  ++free_count_;
}

Chain::Chain(Chain&& other) noexcept
    : pool_(other.pool_),
      head_(std::exchange(other.head_, nullptr)),
      tail_(std::exchange(other.tail_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Chain& Chain::operator=(Chain&& other) noexcept {
  if (this != &other) {
    Clear();
    pool_ = other.pool_;
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

std::span<char> Chain::Reserve(std::size_t at_least) {
  static_assert(kReserveMax <= ChunkPool::kCapacity);
  PENSTOCK_ASSERT(at_least > 0 && at_least <= kReserveMax);
  if (tail_ == nullptr || tail_->capacity < tail_->end + at_least) {
    ChunkPool::Chunk* chunk = pool_->Take();
    (tail_ == nullptr ? head_ : tail_->next) = chunk;
    tail_ = chunk;
  }
  return {tail_->space() + tail_->end, tail_->capacity - tail_->end};
}

void Chain::Commit(std::size_t n) noexcept {
  PENSTOCK_ASSERT(tail_ != nullptr && tail_->end + n <= tail_->capacity);
  tail_->end += n;
  size_ += n;
}

void Chain::Append(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::span<char> room = Reserve();
    const std::size_t n = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), n);
    Commit(n);
    bytes.remove_prefix(n);
  }
}

void Chain::Append(SharedBytes bytes, std::string_view piece) {
  if (piece.empty()) return;
  size_ += piece.size();
  ChunkPool::Chunk* chunk = pool_->TakeShared(std::move(bytes), piece);
  (tail_ == nullptr ? head_ : tail_->next) = chunk;
  tail_ = chunk;
}

void Chain::Append(Chain&& other) noexcept {
  PENSTOCK_ASSERT(pool_ == other.pool_ && this != &other);
  if (other.head_ == nullptr) return;
  if (tail_ != nullptr && other.size_ <= tail_->capacity - std::min(tail_->end, tail_->capacity)) {
    // Few bytes: copying them costs less than another block and another iovec.
    while (!other.empty()) {
      const std::string_view front = other.Front();
      Append(front);
      other.Consume(front.size());
    }
    return;
  }
  (tail_ == nullptr ? head_ : tail_->next) = std::exchange(other.head_, nullptr);
  tail_ = std::exchange(other.tail_, nullptr);
  size_ += std::exchange(other.size_, 0);
}

std::size_t Chain::Peek(std::span<iovec> out) const noexcept {
  std::size_t count = 0;
  for (ChunkPool::Chunk* chunk = head_; chunk != nullptr && count < out.size(); chunk = chunk->next) {
    if (chunk->begin == chunk->end) continue;
    out[count++] = iovec{const_cast<char*>(chunk->data) + chunk->begin, chunk->end - chunk->begin};
  }
  return count;
}

std::string_view Chain::Front() const noexcept {
  for (ChunkPool::Chunk* chunk = head_; chunk != nullptr; chunk = chunk->next) {
    if (chunk->begin != chunk->end) return {chunk->data + chunk->begin, chunk->end - chunk->begin};
  }
  return {};
}

void Chain::Consume(std::size_t n) noexcept {
  PENSTOCK_ASSERT(n <= size_);
  size_ -= n;
  while (head_ != nullptr) {
    const std::size_t taken = std::min(n, head_->end - head_->begin);
    head_->begin += taken;
    n -= taken;
    if (head_->begin != head_->end) return;
    ChunkPool::Chunk* next = head_->next;
    pool_->Give(head_);
    head_ = next;
    if (next == nullptr) tail_ = nullptr;
    if (n == 0 && size_ != 0) return;
  }
}

std::size_t Chain::Read(char* to, std::size_t capacity) noexcept {
  const std::size_t total = std::min(capacity, size_);
  std::size_t copied = 0;
  while (copied < total) {
    const std::string_view front = Front();
    const std::size_t n = std::min(front.size(), total - copied);
    std::memcpy(to + copied, front.data(), n);
    Consume(n);
    copied += n;
  }
  return copied;
}

void Chain::Clear() noexcept {
  while (head_ != nullptr) {
    ChunkPool::Chunk* next = head_->next;
    pool_->Give(head_);
    head_ = next;
  }
  tail_ = nullptr;
  size_ = 0;
}

}  // namespace penstock
