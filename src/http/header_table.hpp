#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "http/h1_scan.hpp"
#include "penstock/http/head.hpp"

namespace penstock::http::header_table {

// The names of HeaderId in a hash table made at compile time: open addressing, at most kProbes steps.

struct KnownHeader {
  std::string_view name;
  HeaderId id;
};

inline constexpr KnownHeader kKnown[] = {
    {"accept", HeaderId::kAccept},
    {"accept-encoding", HeaderId::kAcceptEncoding},
    {"age", HeaderId::kAge},
    {"authorization", HeaderId::kAuthorization},
    {"cache-control", HeaderId::kCacheControl},
    {"connection", HeaderId::kConnection},
    {"content-encoding", HeaderId::kContentEncoding},
    {"content-length", HeaderId::kContentLength},
    {"content-type", HeaderId::kContentType},
    {"cookie", HeaderId::kCookie},
    {"date", HeaderId::kDate},
    {"expect", HeaderId::kExpect},
    {"forwarded", HeaderId::kForwarded},
    {"host", HeaderId::kHost},
    {"keep-alive", HeaderId::kKeepAlive},
    {"proxy-connection", HeaderId::kProxyConnection},
    {"request-id", HeaderId::kRequestId},
    {"retry-after", HeaderId::kRetryAfter},
    {"retry-after-ms", HeaderId::kRetryAfterMs},
    {"server", HeaderId::kServer},
    {"server-timing", HeaderId::kServerTiming},
    {"set-cookie", HeaderId::kSetCookie},
    {"te", HeaderId::kTe},
    {"traceparent", HeaderId::kTraceparent},
    {"tracestate", HeaderId::kTracestate},
    {"trailer", HeaderId::kTrailer},
    {"transfer-encoding", HeaderId::kTransferEncoding},
    {"upgrade", HeaderId::kUpgrade},
    {"user-agent", HeaderId::kUserAgent},
    {"vary", HeaderId::kVary},
    {"x-api-key", HeaderId::kXApiKey},
    {"x-forwarded-for", HeaderId::kXForwardedFor},
    {"x-request-id", HeaderId::kXRequestId},
    {"x-penstock-cache", HeaderId::kXPenstockCache},
    {"x-penstock-cache-key", HeaderId::kXPenstockCacheKey},
    {"x-penstock-model", HeaderId::kXPenstockModel},
    {"x-penstock-priority", HeaderId::kXPenstockPriority},
    {"x-penstock-timeout-ms", HeaderId::kXPenstockTimeoutMs},
};

inline constexpr std::size_t kSlots = 256;
inline constexpr std::size_t kProbes = 4;
inline constexpr std::size_t kNameBytes = 32;  ///< two blocks; no known name is longer than 30

struct Slot {
  char name[kNameBytes] = {};
  std::uint8_t size = 0;  ///< 0: empty
  HeaderId id = HeaderId::kOther;
};

/// `name` must not be empty.
constexpr std::size_t Hash(const char* name, std::size_t size) {
  const auto first = static_cast<unsigned char>(name[0]);
  const auto last = static_cast<unsigned char>(name[size - 1]);
  const auto middle = static_cast<unsigned char>(name[size / 2]);
  return (size * 7 + first * 31 + last * 131 + middle * 17) % kSlots;
}

inline constexpr auto kTable = [] {
  std::array<Slot, kSlots> table{};
  for (const KnownHeader& known : kKnown) {
    std::size_t slot = Hash(known.name.data(), known.name.size());
    std::size_t steps = 0;
    while (table[slot].size != 0) {
      slot = (slot + 1) % kSlots;
      if (++steps >= kProbes) throw "header table: a cluster longer than kProbes; change Hash";
    }
    if (known.name.size() > kNameBytes) throw "header table: a name longer than kNameBytes";
    for (std::size_t i = 0; i < known.name.size(); ++i) table[slot].name[i] = known.name[i];
    table[slot].size = static_cast<std::uint8_t>(known.name.size());
    table[slot].id = known.id;
  }
  return table;
}();

/// `same(slot)` compares names of the same size.
template <class Same>
inline HeaderId Lookup(const char* name, std::size_t size, Same same) noexcept {
  if (size == 0) return HeaderId::kOther;
  std::size_t index = Hash(name, size);
  for (std::size_t step = 0; step < kProbes; ++step, index = (index + 1) % kSlots) {
    const Slot& slot = kTable[index];
    if (slot.size == 0) return HeaderId::kOther;
    if (slot.size == size && same(slot)) return slot.id;
  }
  return HeaderId::kOther;
}

/// LookupHeader for a name inside a Head's store, with slack behind it: compares by blocks.
inline HeaderId LookupStored(const char* name, std::size_t size) noexcept {
  return Lookup(name, size, [name, size](const Slot& slot) {
#if defined(__SSE2__)
    const unsigned low = scan::Mask(_mm_cmpeq_epi8(scan::Load(name), scan::Load(slot.name)));
    const unsigned high = scan::Mask(_mm_cmpeq_epi8(scan::Load(name + 16), scan::Load(slot.name + 16)));
    const std::uint64_t wanted = (std::uint64_t{1} << size) - 1;  // size <= kNameBytes: it is a slot's
    return ((low | std::uint64_t{high} << 16) & wanted) == wanted;
#else
    return std::memcmp(name, slot.name, size) == 0;
#endif
  });
}

}  // namespace penstock::http::header_table
