#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "penstock/base/digest.hpp"

namespace penstock::cache {

/// How purges look in Redis; see RedisTier. Raised together with nothing: every version of penstock shares them.
inline constexpr std::string_view kEpochsKey = "penstock:epochs";
inline constexpr std::string_view kPurgedKey = "penstock:purged";
inline constexpr std::string_view kPurgesChannel = "penstock:purges";

/// The largest integer that Lua's doubles count up to one by one; an epoch or score above it is none of ours.
inline constexpr std::uint64_t kEpochMax = (std::uint64_t{1} << 53) - 1;

/// KEYS kEpochsKey; ARGV the channel, `above`, then names and values in pairs. Makes each epoch the greater of the
/// value and what it was plus `above` (0 or 1), publishes what rises, answers with the epochs as they are then. What is
/// no number counts as 0. An error "NOTSTORED ..." when Redis takes no writes.
extern const std::string_view kRaiseScript;

/// KEYS kPurgedKey; ARGV the channel, how many digests to keep, the newest score that the caller knows, then digests.
/// Publishes each, and adds it with a score that is above all others, there and known: Redis' time, unless its clock
/// went back, or it is another server now. Answers with the last score. "NOTSTORED ..." as above.
extern const std::string_view kPurgeScript;

inline constexpr std::string_view kNotStored = "NOTSTORED ";

/// A decimal of at most kEpochMax.
std::optional<std::uint64_t> ReadEpoch(std::string_view text) noexcept;
std::uint64_t EpochOr0(std::string_view text) noexcept;

/// A message on the channel: of an epoch (name not empty) or of a key.
struct PurgeMessage {
  std::string_view epoch;   ///< its name, borrowed from the message
  std::uint64_t value = 0;  ///< of the epoch, or the score of the key
  Digest digest{};

  static std::optional<PurgeMessage> Parse(std::string_view text) noexcept;
  friend bool operator==(const PurgeMessage&, const PurgeMessage&) = default;
};

}  // namespace penstock::cache
