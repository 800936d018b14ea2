#pragma once

#include <cstdint>

#include "penstock/base/digest.hpp"
#include "penstock/base/time.hpp"
#include "penstock/llm/family.hpp"
#include "penstock/llm/replay.hpp"
#include "penstock/mem/shared_bytes.hpp"

namespace penstock::cache {

/// How an answer was received, and so how its bytes are stored.
enum class Form : std::uint8_t {
  kWhole,   ///< one JSON document
  kEvents,  ///< the events of a complete stream, byte for byte, its terminal event included
};

/// What separates the entries of tenants and models, beside the digest that contains both: for shares, purges and as a
/// check that an entry read from outside this process belongs where it was found.
struct Scope {
  std::uint64_t tenant = 0;  ///< of the tenant's scope text
  std::uint64_t model = 0;   ///< of the model's configured name

  friend bool operator==(const Scope&, const Scope&) = default;
};

/// One complete answer as every tier keeps it. Copying it copies no bytes. Times are wall-clock, because entries
/// outlive processes; whoever serves one checks `expires_at` itself, so a clock that jumps makes a miss, never an
/// immortal entry.
struct Entry {
  SharedBytes bytes;
  Form form = Form::kWhole;
  llm::Family family = llm::Family::kChat;
  llm::UsageEvent usage{};  ///< of Form::kEvents: what clients that did not ask for it do not get
  Scope scope{};
  WallTime stored_at{};
  WallTime expires_at{};
  /// The score of the newest purge by key that was heard of when the answer began (PurgedKeys); 0 = of none. Kept
  /// outside the process only: memory forgets what is purged at once.
  std::uint64_t purges_heard = 0;

  /// Not stored in the future (more than a minute: clocks differ), not expired.
  bool fresh(WallTime now) const noexcept {
    constexpr std::int64_t kSkewUs = 60'000'000;
    return now.us < expires_at.us && stored_at.us <= now.us + kSkewUs;
  }
};

}  // namespace penstock::cache
