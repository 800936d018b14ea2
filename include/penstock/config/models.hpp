#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/config/cache.hpp"

namespace penstock::config {

/// What becomes of a stream that breaks after its first content was sent. kRestart: asked anew elsewhere, and what the
/// client has is taken off. kContinue: another endpoint is asked for the rest, and kRestart where none can.
enum class Rescue : std::uint8_t { kOff, kRestart, kContinue };
std::string_view Name(Rescue rescue) noexcept;

/// When a stream whose first token is late is asked for a second time: never, after the time within which 95 % of the
/// model's streams have begun, or after `time`.
struct HedgeAfter {
  enum class Kind : std::uint8_t { kOff, kP95, kTime };
  Kind kind = Kind::kOff;
  Duration time{};  ///< of kTime: kTimeMin to kTimeMax

  static constexpr Duration kTimeMin = std::chrono::milliseconds(1);
  static constexpr Duration kTimeMax = std::chrono::minutes(10);
  friend bool operator==(const HedgeAfter&, const HedgeAfter&) = default;
};

struct Hedge {
  HedgeAfter after;
  double budget = 0.05;  ///< of the model's requests, beyond one in ten seconds
  bool enabled() const noexcept { return after.kind != HedgeAfter::Kind::kOff; }
  friend bool operator==(const Hedge&, const Hedge&) = default;
};

/// A cheaper model in place of one whose cluster is busy.
struct Variant {
  std::string model;
  /// Load of the one before it (the model itself, or the variant listed before): its requests in flight as a share of
  /// what its usable endpoints take at a time. Above this new requests move on, until it is below `below`.
  double above = 0.8;
  double below = 0.6;
  friend bool operator==(const Variant&, const Variant&) = default;
};

/// A model clients may ask for. Names are 1 to 256 visible ASCII bytes without `"` and `\`, so that they can
/// be put into JSON and header fields as they are.
struct Model {
  std::string name;
  std::vector<std::string> aliases;
  std::string upstream_name;                          ///< Load() fills it with `name` when the file leaves it empty
  std::string cluster;                                ///< names one of Config::clusters
  std::vector<std::string> fallbacks;                 ///< names of models, tried in order when this one cannot answer
  std::vector<std::string> context_window_fallbacks;  ///< tried instead when a request is too long for it
  Rescue rescue = Rescue::kOff;
  std::optional<std::uint32_t> hold;  ///< tokens of a stream that are held back before it is committed
  Hedge hedge;
  std::string revision;           ///< part of the cache key: another one, and no earlier answer is served
  std::vector<Variant> variants;  ///< where requests go while its cluster is busy
  ModelCache cache;
};

}  // namespace penstock::config
