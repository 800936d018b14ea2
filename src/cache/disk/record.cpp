#include "cache/disk/record.hpp"

#include <bit>
#include <cstring>

#include "penstock/base/xxh64.hpp"

namespace penstock::cache::disk {
namespace {

/// A changed byte goes unseen once in 2^64. Not against an attacker: who can write the file can write checksums.
std::int64_t Sum(const Digest& key, const Record& record, std::string_view body) noexcept {
  const std::int64_t words[] = {record.tenant,     record.model,     record.kind,       record.usage_at,
                                record.usage_size, record.stored_us, record.expires_us, record.purges_heard};
  std::uint64_t sum = Xxh64(View(key), 0);
  sum = Xxh64({reinterpret_cast<const char*>(words), sizeof words}, sum);
  return std::bit_cast<std::int64_t>(Xxh64(body, sum));
}

constexpr std::int64_t kEventsBit = 1, kFamilyShift = 8;

}  // namespace

Record ToRecord(const Digest& key, const Entry& entry) noexcept {
  Record record;
  record.tenant = std::bit_cast<std::int64_t>(entry.scope.tenant);
  record.model = std::bit_cast<std::int64_t>(entry.scope.model);
  record.kind =
      (static_cast<std::int64_t>(entry.family) << kFamilyShift) | (entry.form == Form::kEvents ? kEventsBit : 0);
  record.usage_at = entry.usage.offset;
  record.usage_size = entry.usage.size;
  record.stored_us = entry.stored_at.us;
  record.expires_us = entry.expires_at.us;
  record.purges_heard = std::bit_cast<std::int64_t>(entry.purges_heard);
  record.checksum = Sum(key, record, entry.bytes.view());
  return record;
}

bool FromRecord(const Digest& key, const Record& record, std::string_view body, Entry& entry) {
  if (Sum(key, record, body) != record.checksum) return false;
  const std::int64_t family = record.kind >> kFamilyShift;
  if (family < 0 || family > static_cast<std::int64_t>(llm::Family::kDetokenize)) return false;
  entry.bytes = SharedBytes::Copy(body);
  entry.form = (record.kind & kEventsBit) != 0 ? Form::kEvents : Form::kWhole;
  entry.family = static_cast<llm::Family>(family);
  entry.usage = {static_cast<std::uint32_t>(record.usage_at), static_cast<std::uint32_t>(record.usage_size)};
  entry.scope = {std::bit_cast<std::uint64_t>(record.tenant), std::bit_cast<std::uint64_t>(record.model)};
  entry.stored_at = {record.stored_us};
  entry.expires_at = {record.expires_us};
  entry.purges_heard = std::bit_cast<std::uint64_t>(record.purges_heard);
  return true;
}

}  // namespace penstock::cache::disk
