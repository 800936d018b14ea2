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
  ByteWriter(std::string& out, std::size_t expected) : out_(out), at_(out.size()) {
    out_.resize(at_ + std::max(expected, kSmallest));
  }
  ~ByteWriter() { out_.resize(at_); }
  ByteWriter(const ByteWriter&) = delete;
  ByteWriter& operator=(const ByteWriter&) = delete;

  /// Room for `size` bytes, to be filled and then claimed with Advance().
  char* Room(std::size_t size) {
    if (out_.size() - at_ < size) out_.resize(std::max(out_.size() * 2, at_ + size));
    return out_.data() + at_;
  }
  void Advance(std::size_t size) noexcept { at_ += size; }
  /// Claims up to `end`, which lies within the room.
  void AdvanceTo(const char* end) noexcept { at_ = static_cast<std::size_t>(end - out_.data()); }

  void Put(char c) {
    *Room(1) = c;
    ++at_;
  }
  void Put(std::string_view bytes) {
    if (!bytes.empty()) std::memcpy(Room(bytes.size()), bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  /// The offset of the next byte, and what was written at one.
  std::size_t offset() const noexcept { return at_; }
  char* From(std::size_t offset) noexcept { return out_.data() + offset; }
  /// Takes back everything from `offset` on.
  void Rewind(std::size_t offset) noexcept { at_ = offset; }

 private:
  static constexpr std::size_t kSmallest = 64;

  std::string& out_;
  std::size_t at_;
};

}  // namespace penstock::grpc
