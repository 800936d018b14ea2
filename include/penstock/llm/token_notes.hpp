#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace penstock::llm {

/// Owned by one Worker. Where the tokens of a JSON text begin, noted by whoever writes it: such a text need not be read
/// once more to be viewed (ViewRequest). Tokens are { } [ ] : , and the begin of each scalar, in ascending order.
class TokenNotes {
 public:
  static constexpr std::size_t kRetainedMax = std::size_t{1} << 20;  ///< more tokens' memory is given back by Trim

  bool empty() const noexcept { return size_ == 0; }
  std::uint32_t size() const noexcept { return size_; }
  const std::uint32_t* data() const noexcept { return tokens_.get(); }
  std::uint32_t deepest() const noexcept { return deepest_; }  ///< containers inside each other

  void Clear() noexcept { size_ = depth_ = deepest_ = 0; }
  void Add(std::size_t offset) {
    if (size_ == capacity_) [[unlikely]]
      Grow();
    tokens_[size_++] = static_cast<std::uint32_t>(offset);
  }
  void Open(std::size_t offset) {
    Add(offset);
    deepest_ = std::max(deepest_, ++depth_);
  }
  void Close(std::size_t offset) {
    Add(offset);
    --depth_;
  }
  /// True: the notes are gone.
  bool Trim();

 private:
  [[gnu::noinline]] void Grow();

  std::unique_ptr<std::uint32_t[]> tokens_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint32_t depth_ = 0;
  std::uint32_t deepest_ = 0;
};

}  // namespace penstock::llm
