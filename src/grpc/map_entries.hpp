#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "grpc/message_to_json.hpp"
#include "grpc/wire.hpp"

namespace penstock::grpc {

/// Owned by one Worker. The entries of one map while it is written: borrowed bytes of the message.
class MapEntries {
 public:
  struct Entry {
    std::string_view key;
    Piece entry;  ///< key and value
  };

  std::size_t size() const noexcept { return size_; }
  const Entry* begin() const noexcept { return many_.empty() ? few_.data() : many_.data(); }
  const Entry* end() const noexcept { return begin() + size_; }

  void Add(const Entry& entry) {
    if (size_ == few_.size() && many_.empty()) many_.assign(few_.begin(), few_.end());
    if (size_ < few_.size()) {
      few_[size_] = entry;
    } else {
      many_.push_back(entry);
    }
    ++size_;
  }

  /// By key as bytes, each key once: of several entries the last one added holds.
  void Sort() {
    Entry* const first = many_.empty() ? few_.data() : many_.data();
    std::sort(first, first + size_, [](const Entry& a, const Entry& b) {
      const int order = a.key.compare(b.key);
      return order != 0 ? order < 0 : a.entry.begin < b.entry.begin;
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (i + 1 == size_ || first[i].key != first[i + 1].key) first[kept++] = first[i];
    }
    size_ = kept;
  }

 private:
  std::array<Entry, kEntriesInline> few_;  // NOLINT: only the first size_ are read
  std::vector<Entry> many_;                ///< all of them, when they are more
  std::size_t size_ = 0;
};

}  // namespace penstock::grpc
