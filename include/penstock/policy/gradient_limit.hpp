#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "penstock/base/prng.hpp"
#include "penstock/base/time.hpp"

/// `max_concurrency: auto`: how many requests at a time an endpoint bears, found out from how fast it answers.
namespace penstock::policy {

/// What a latency is a latency of: each kind is compared with its own past only.
enum class LatencyKind : std::uint8_t {
  kFirstToken,  ///< of a stream: request to first content
  kPerToken,  ///< of a whole answer with tokens: its time / their number, for long answers take long on an idle server
              ///< too
  kWhole,     ///< of a whole answer without: embeddings, rerank and their like
};
inline constexpr std::size_t kLatencyKinds = 3;

/// Immutable.
struct GradientRules {
  std::uint32_t initial = 16;
  std::uint32_t min = 1;
  std::uint32_t max = 1000;
  double tolerance = 1.5;  ///< latencies up to this multiple of the least are no sign of a queue
  double smoothing = 0.3;  ///< of a window's verdict in the new limit
  Duration window = std::chrono::milliseconds(250);  ///< at least so long, and at least so many answers, make a verdict
  std::uint32_t window_answers = 8;
  Duration probe_every = std::chrono::seconds(30);  ///< the least latency is measured anew, at the soonest
  double probe_every_calls = 10;                    ///< likewise, in calls: what a probe costs lasts as long as they do
  Duration probe_max = std::chrono::seconds(5);     ///< or as long as calls need to go and come, if that is longer
  std::uint32_t probe_answers = 4;
  Duration call_max = std::chrono::minutes(10);  ///< calls beyond count as that long
};

/// Shared: the limit is an atomic that every pick reads; a tiny mutex around what every answer's end changes. One per
/// endpoint. Allocates nothing.
///
/// The gradient of Netflix's concurrency-limits (Gradient2Limit) and of Envoy's adaptive concurrency filter: with
/// g = tolerance * least latency / latency of the last window, between 0.5 and 1, the limit goes towards
/// limit * g + sqrt(limit). So it grows while the server answers as it does when idle, and shrinks when a queue builds
/// up in it; it comes to rest where latency is `tolerance` times the least, and a square root of requests beyond. A
/// window in which the limit was not used by half says nothing about it.
///
/// The least latency is the smallest average of a window. It is not Gradient2's long-term average, which a server that
/// is always full drags along with it, but measured anew as Envoy's minRTT: every `probe_every` (the first time after
/// `probe_max`), while the limit is in use, it is halved until `probe_answers` answers to requests that began among no
/// more than that; then their average is the least. (Envoy goes down to 3, which for calls that last minutes is a
/// standstill.) A probe that saw too few changes nothing.
///
/// An answer here is a first token, seconds after its call began; but the calls that are under way must go before any
/// begins among few, and that takes minutes where calls do. So a probe's patience and the time between two of them
/// follow how long calls last, by Little's law: what is in flight / what begins per second. With calls of
/// three minutes on 8 to 128 slots, simulated, the probes cost 1 to 3 % of the capacity. The first one lasts
/// `probe_max` at most, for nothing is known yet; and times are shaken by a quarter, so that the endpoints of a
/// cluster, which began together, do not all halve at once.
///
/// A refusal for overload or a timeout takes a tenth off, once per window.
class GradientLimit {
 public:
  /// `seed` for when it probes.
  explicit GradientLimit(const GradientRules& rules = {}, std::uint64_t seed = 0) noexcept;
  GradientLimit(const GradientLimit&) = delete;
  GradientLimit& operator=(const GradientLimit&) = delete;

  /// In force now, `min` to `max`.
  std::uint32_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }

  /// `in_flight` when the request began, itself included.
  void OnLatency(LatencyKind kind, Duration latency, std::uint32_t in_flight, TimePoint now) noexcept;
  void OnOverload(TimePoint now) noexcept;
  /// Every now and then: a probe is over in time although no answer begins meanwhile.
  void Look(TimePoint now) noexcept;

 private:
  struct Samples {
    double least_s = 0;  ///< 0: not known
    double sum_s = 0;    ///< of this window, or of this probe
    std::uint32_t count = 0;
  };

  void CloseWindow(TimePoint now) noexcept;
  Duration MeanCall(TimePoint now) const noexcept;
  double RatioOfWindow() noexcept;
  void BeginProbe(TimePoint now) noexcept;
  void EndProbe(TimePoint now) noexcept;
  void BeginWindow(TimePoint now) noexcept;
  void Publish() noexcept;

  const GradientRules rules_;
  std::atomic<std::uint32_t> limit_;

  std::mutex mutex_;
  std::array<Samples, kLatencyKinds> kinds_;
  double estimate_;
  Prng prng_;
  bool probing_ = false;
  bool probed_ = false;
  TimePoint probe_due_{};  ///< 0: no answer yet
  TimePoint probe_end_{};
  Duration probe_pause_{};  ///< from the end of this one to the next
  // Since the last probe: for how long calls last.
  TimePoint load_began_{};
  std::uint64_t load_sum_ = 0;  ///< of what was in flight when each began
  std::uint64_t load_answers_ = 0;
  TimePoint window_began_{};
  TimePoint cut_at_{};  ///< for a refusal
  std::uint32_t answers_ = 0;
  std::uint32_t in_flight_most_ = 0;
};

}  // namespace penstock::policy
