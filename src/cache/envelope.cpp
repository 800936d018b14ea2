#include "penstock/cache/envelope.hpp"

#include <bit>
#include <cstring>

#include "penstock/base/assert.hpp"
#include "penstock/base/crc32c.hpp"

namespace penstock::cache {

namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they are");

constexpr std::uint32_t kMagic = 0x45736e50;  // "PnsE"
constexpr std::size_t kSumAt = kEnvelopeHeaderBytes - sizeof(std::uint32_t);

/// Goes through a header field by field, the same way for both directions.
class Cursor {
 public:
  explicit Cursor(char* at) noexcept : to_(at) {}
  explicit Cursor(const char* at) noexcept : from_(at) {}

  template <class T>
  void Put(const T& value) noexcept {
    std::memcpy(to_, &value, sizeof value);
    to_ += sizeof value;
  }
  template <class T>
  T Take() noexcept {
    T value;
    std::memcpy(&value, from_, sizeof value);
    from_ += sizeof value;
    return value;
  }
  const char* to() const noexcept { return to_; }

 private:
  char* to_ = nullptr;
  const char* from_ = nullptr;
};

}  // namespace

EnvelopeHeader EncodeEnvelope(const Digest& digest, const Entry& entry) noexcept {
  EnvelopeHeader header;
  Cursor cursor(header.data());
  cursor.Put(kMagic);
  cursor.Put(kEnvelopeVersion);
  cursor.Put(static_cast<std::uint8_t>(entry.form));
  cursor.Put(static_cast<std::uint8_t>(entry.family));
  cursor.Put(digest.bytes);
  cursor.Put(entry.scope.tenant);
  cursor.Put(entry.scope.model);
  cursor.Put(entry.stored_at.us);
  cursor.Put(entry.expires_at.us);
  cursor.Put(entry.purges_heard);
  cursor.Put(entry.usage.offset);
  cursor.Put(entry.usage.size);
  cursor.Put(std::uint64_t{entry.bytes.size()});
  cursor.Put(Crc32c(entry.bytes.view()));
  cursor.Put(Crc32c({header.data(), kSumAt}));
  PENSTOCK_ASSERT(cursor.to() == header.data() + header.size());
  return header;
}

std::string_view EnvelopeFaultName(EnvelopeFault fault) noexcept {
  switch (fault) {
    case EnvelopeFault::kTruncated: return "truncated";
    case EnvelopeFault::kNotOurs: return "not_ours";
    case EnvelopeFault::kOtherVersion: return "other_version";
    case EnvelopeFault::kChecksum: return "checksum";
    case EnvelopeFault::kOtherKey: return "other_key";
    case EnvelopeFault::kOtherScope: return "other_scope";
    case EnvelopeFault::kField: return "field";
  }
  return "";
}

Result<Entry, EnvelopeFault> DecodeEnvelope(std::string_view envelope, const Digest& digest, const Scope& scope) {
  if (envelope.size() < kEnvelopeHeaderBytes) return EnvelopeFault::kTruncated;
  Cursor cursor(envelope.data());
  if (cursor.Take<std::uint32_t>() != kMagic) return EnvelopeFault::kNotOurs;
  // The version comes before the sum: another version may have another header.
  if (cursor.Take<std::uint16_t>() != kEnvelopeVersion) return EnvelopeFault::kOtherVersion;
  if (Cursor(envelope.data() + kSumAt).Take<std::uint32_t>() != Crc32c(envelope.substr(0, kSumAt))) {
    return EnvelopeFault::kChecksum;
  }
  const auto form = cursor.Take<std::uint8_t>();
  const auto family = cursor.Take<std::uint8_t>();
  if (form > static_cast<std::uint8_t>(Form::kEvents) || family > static_cast<std::uint8_t>(llm::Family::kDetokenize)) {
    return EnvelopeFault::kField;
  }
  if (cursor.Take<decltype(Digest::bytes)>() != digest.bytes) return EnvelopeFault::kOtherKey;
  Entry entry;
  entry.form = static_cast<Form>(form);
  entry.family = static_cast<llm::Family>(family);
  entry.scope.tenant = cursor.Take<std::uint64_t>();
  entry.scope.model = cursor.Take<std::uint64_t>();
  if (entry.scope != scope) return EnvelopeFault::kOtherScope;
  entry.stored_at.us = cursor.Take<std::int64_t>();
  entry.expires_at.us = cursor.Take<std::int64_t>();
  entry.purges_heard = cursor.Take<std::uint64_t>();
  entry.usage.offset = cursor.Take<std::uint32_t>();
  entry.usage.size = cursor.Take<std::uint32_t>();
  const std::string_view bytes = envelope.substr(kEnvelopeHeaderBytes);
  if (cursor.Take<std::uint64_t>() != bytes.size()) return EnvelopeFault::kTruncated;
  if (cursor.Take<std::uint32_t>() != Crc32c(bytes)) return EnvelopeFault::kChecksum;
  entry.bytes = SharedBytes::Copy(bytes);
  return entry;
}

}  // namespace penstock::cache
