#pragma once

#include <cstring>
#include <memory>
#include <string_view>

namespace penstock::llm::test {

/// Bytes in an allocation of exactly their size, so that the address sanitizer sees a read of one byte too many.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view text) : size_(text.size()), bytes_(new char[text.size()]) {
    if (size_ != 0) std::memcpy(bytes_.get(), text.data(), size_);
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace penstock::llm::test
