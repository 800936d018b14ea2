#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "penstock/base/digest.hpp"
#include "penstock/base/result.hpp"
#include "penstock/cache/entry.hpp"

namespace penstock::cache {

/// How an entry looks outside this process: a header of fixed size, then the answer's bytes. The header repeats what
/// the entry was stored under, whole, so that bytes that were moved, mixed up or left by another version are never
/// served.
///
/// Little endian: magic "PnsE", version u16, form u8, family u8, digest 32, tenant u64, model u64, stored_at i64 and
/// expires_at i64 (microseconds), purges_heard u64, offset and size of the usage event u32, size of the bytes u64,
/// their CRC-32C u32, CRC-32C of the header up to here u32. The sums find damage; they do not authenticate: whoever may
/// write to the store may answer.
inline constexpr std::uint16_t kEnvelopeVersion = 2;
inline constexpr std::size_t kEnvelopeHeaderBytes = 104;
using EnvelopeHeader = std::array<char, kEnvelopeHeaderBytes>;

/// The header for `entry` under `digest`; `entry.bytes` follow it.
EnvelopeHeader EncodeEnvelope(const Digest& digest, const Entry& entry) noexcept;

/// Why bytes are no entry of this key. Each is a miss and counts in penstock_cache_corrupt_total.
enum class EnvelopeFault : std::uint8_t {
  kTruncated,     ///< shorter than a header, or the bytes are not as many as it says
  kNotOurs,       ///< another magic
  kOtherVersion,  ///< of an older or newer penstock
  kChecksum,
  kOtherKey,
  kOtherScope,  ///< another tenant's or model's entry, copied to this key
  kField,       ///< a form or family that does not exist
};
std::string_view EnvelopeFaultName(EnvelopeFault fault) noexcept;

[[noreturn]] inline void throw_exception_from_error(const EnvelopeFault& fault, const boost::source_location& where) {
  (void)fault;
  (void)where;
  __builtin_trap();
}

/// The entry in `envelope`, when it is whole and belongs to `digest` and `scope`. Copies the answer's bytes once. Does
/// not judge whether it is fresh().
Result<Entry, EnvelopeFault> DecodeEnvelope(std::string_view envelope, const Digest& digest, const Scope& scope);

}  // namespace penstock::cache
