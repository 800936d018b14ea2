#pragma once

#include <cstdint>
#include <string_view>

#include "penstock/cache/entry.hpp"

namespace penstock::cache::disk {

/// Immutable. What a row says beside its body, as integers of the file; `checksum` covers all of it, the key and the
/// body, so that no byte of a row can change unseen.
struct Record {
  std::int64_t tenant = 0;
  std::int64_t model = 0;
  std::int64_t kind = 0;  ///< form and family
  std::int64_t usage_at = 0;
  std::int64_t usage_size = 0;
  std::int64_t stored_us = 0;
  std::int64_t expires_us = 0;
  std::int64_t purges_heard = 0;
  std::int64_t checksum = 0;
};

Record ToRecord(const Digest& key, const Entry& entry) noexcept;
/// False when the checksum is not that of `record`, `key` and `body`, or a value is none of ours. Copies the body.
bool FromRecord(const Digest& key, const Record& record, std::string_view body, Entry& entry);

inline std::string_view View(const Digest& key) noexcept {
  return {reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()};
}

}  // namespace penstock::cache::disk
