#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

namespace penstock::grpc {

/// Owned by one Worker. Appends to a string by plain stores: the room is made first, and what of it was not used is cut
/// off by the destructor. (std::string's own appending writes a terminator and checks the capacity each time.)
class ByteWriter {
 public:
  /// `expected` bytes more, as a guess: growing costs a copy.
  ByteWriter(std::string& out, std::size_t expected) : out_(out) {
    begin_ = out_.size();
    out_.resize(begin_ + std::max(expected, kSmallest));
    at_ = out_.data() + begin_;
    end_ = out_.data() + out_.size();
  }
  ~ByteWriter() { out_.resize(offset()); }
  ByteWriter(const ByteWriter&) = delete;
  ByteWriter& operator=(const ByteWriter&) = delete;

  /// Room for `size` bytes, to be filled and then claimed with Advance().
  char* Room(std::size_t size) {
    if (static_cast<std::size_t>(end_ - at_) < size) [[unlikely]]
      Grow(size);
    return at_;
  }
  void Advance(std::size_t size) noexcept { at_ += size; }
  /// Claims up to `end`, which lies within the room.
  void AdvanceTo(char* end) noexcept { at_ = end; }

  void Put(char c) {
    *Room(1) = c;
    ++at_;
  }
  void Put(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(Room(bytes.size()), bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  /// The offset of the next byte, and what was written at one.
  std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - out_.data()); }
  char* From(std::size_t offset) noexcept { return out_.data() + offset; }
  /// Takes back everything from `offset` on.
  void Rewind(std::size_t offset) noexcept { at_ = out_.data() + offset; }

 private:
  static constexpr std::size_t kSmallest = 64;

  [[gnu::noinline]] void Grow(std::size_t size) {
    const std::size_t used = offset();
    // Twice what this one wrote, for new room is filled with zeroes: many who write a little each behind much would
    // otherwise fill all of it each time.
    out_.resize(used + std::max(used - begin_, size));
    at_ = out_.data() + used;
    end_ = out_.data() + out_.size();
  }

  std::string& out_;
  std::size_t begin_;  ///< what was there before
  char* at_;
  char* end_;  ///< of the room
};

}  // namespace penstock::grpc
