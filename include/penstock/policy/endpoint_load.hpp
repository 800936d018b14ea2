#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "penstock/base/time.hpp"
#include "penstock/policy/peak_ewma.hpp"

namespace penstock::policy {

class EndpointLoad;

/// Shared: one atomic, and what OnRoom() does. Those who wait for room at any of several endpoints.
///
/// No wake-up is lost: who begins to wait counts itself and then looks for room, who makes room does so and then looks
/// whether somebody is counted. All four are sequentially consistent (Dekker's pattern), so one of them sees the other.
class RoomWatch {
 public:
  virtual ~RoomWatch() = default;
  bool waited_for() const noexcept { return waiting_.load() != 0; }
  /// There may be room now. Any thread; only worth calling while waited_for().
  virtual void OnRoom() noexcept = 0;

 protected:
  std::atomic<std::uint32_t> waiting_{0};
};

/// Owned by one Worker. One attempt's place on an endpoint: +1 in flight and its units of load while it lives. Nobody
/// else writes the counts.
class LoadLease {
 public:
  LoadLease() = default;
  LoadLease(LoadLease&& other) noexcept : load_(std::exchange(other.load_, nullptr)), place_(other.place_) {}
  LoadLease& operator=(LoadLease&& other) noexcept {
    if (this != &other) {
      Release();
      load_ = std::exchange(other.load_, nullptr);
      place_ = other.place_;
    }
    return *this;
  }
  ~LoadLease() { Release(); }

  void Release() noexcept;
  explicit operator bool() const noexcept { return load_ != nullptr; }

 private:
  friend class EndpointLoad;
  LoadLease(EndpointLoad* load, std::uint64_t place) noexcept : load_(load), place_(place) {}
  EndpointLoad* load_ = nullptr;
  std::uint64_t place_ = 0;  ///< what it added to the word
};

/// Units of load that one request may be; those of kRequestsMax such requests still fit their half of the word.
inline constexpr std::uint32_t kUnitsMax = 16;
inline constexpr std::uint32_t kRequestsMax = UINT32_MAX / kUnitsMax;

/// What a prompt adds to an endpoint's load: a unit for the slot that its answer takes, and one for every whole 8 KiB,
/// which are some 2,000 tokens, about what a server prefills in one of its steps (vLLM and SGLang take 2,048 to 8,192
/// a step). Bounded by kUnitsMax, because a long prompt may be a picture in base64, which is cheap.
constexpr std::uint32_t UnitsOfPrompt(std::size_t bytes) noexcept {
  constexpr std::size_t kUnitBytes = 8 * 1024;
  const std::size_t more = bytes / kUnitBytes;
  return more < kUnitsMax ? 1 + static_cast<std::uint32_t>(more) : kUnitsMax;
}

/// Shared: padded atomics, written by leases of every worker. An LLM replica has few slots and calls last
/// seconds, so a view per worker would be wrong. Outlives its leases.
///
/// Every access is relaxed but the one that gives a place back and the one that looks for a place, for RoomWatch: the
/// counts publish no other memory. The limit needs only the atomicity of one read-modify-write, and a balancer that
/// reads a count a few nanoseconds old picks no worse than one that lost the race.
///
/// Three cache lines: what every request writes and every pick reads, what a stream writes, what is seldom written.
class alignas(64) EndpointLoad {
 public:
  explicit EndpointLoad(Duration latency_tau = PeakEwma::kTau) noexcept : latency_(latency_tau) {}
  EndpointLoad(const EndpointLoad&) = delete;
  EndpointLoad& operator=(const EndpointLoad&) = delete;

  /// A lease of `units` (1 to kUnitsMax), or none when `limit` (0 = kRequestsMax) requests are in flight already,
  /// however large. Compare-and-swap, not add-then-undo: the overshoot of a loser must not refuse a third worker for
  /// which there is room.
  std::optional<LoadLease> TryLease(std::uint32_t limit, std::uint32_t units = 1) noexcept {
    if (limit == 0 || limit > kRequestsMax) limit = kRequestsMax;
    const std::uint64_t place = std::uint64_t{units} << 32 | 1;
    std::uint64_t seen = word_.load();
    do {
      if (static_cast<std::uint32_t>(seen) >= limit) return std::nullopt;
    } while (!word_.compare_exchange_weak(seen, seen + place, std::memory_order_relaxed));
    started_.fetch_add(1, std::memory_order_relaxed);
    return LoadLease(this, place);
  }

  /// As TryLease() would find it, or it is 0.
  bool HasRoom(std::uint32_t limit) const noexcept {
    return static_cast<std::uint32_t>(word_.load()) < (limit == 0 || limit > kRequestsMax ? kRequestsMax : limit);
  }

  /// Told of every place that comes free. Before the load is shared; outlives it.
  void set_watch(RoomWatch* watch) noexcept { watch_ = watch; }

  std::uint32_t in_flight() const noexcept { return static_cast<std::uint32_t>(word_.load(std::memory_order_relaxed)); }
  /// Units of the requests in flight and of those from elsewhere: what policies compare.
  std::uint64_t load() const noexcept { return (word_.load(std::memory_order_relaxed) >> 32) + elsewhere(); }
  /// Requests that others have there (more gateways, or clients that ask it themselves), as it said last; a unit each.
  /// Written seldom, by whoever asks it.
  void SetElsewhere(std::uint32_t requests) noexcept { elsewhere_.store(requests, std::memory_order_relaxed); }
  std::uint32_t elsewhere() const noexcept { return elsewhere_.load(std::memory_order_relaxed); }
  std::uint64_t started() const noexcept { return started_.load(std::memory_order_relaxed); }

  /// A byte of an answer came from this endpoint: evidence for health_state.hpp. Stored at most once per
  /// kProgressGrain, so that a stream on every worker does not make one cache line travel with every token.
  void NoteProgress(TimePoint now) noexcept {
    if (now.ns - last_progress_ns_.load(std::memory_order_relaxed) >= kProgressGrain.count()) {
      last_progress_ns_.store(now.ns, std::memory_order_relaxed);
    }
  }
  /// At most kProgressGrain older than the truth; TimePoint{0} when there never was any.
  TimePoint last_progress() const noexcept { return TimePoint{last_progress_ns_.load(std::memory_order_relaxed)}; }

  static constexpr Duration kProgressGrain = std::chrono::milliseconds(1);

  /// Time to the first token, or without a stream to the head of the answer; for policy p2c_ewma.
  PeakEwma& latency() noexcept { return latency_; }
  const PeakEwma& latency() const noexcept { return latency_; }

  /// Whether requests may go there. A change from false to true is a recovery: the slow start begins. Called by the
  /// one who judges the endpoint's health; `now` later than TimePoint{0}.
  void SetUsable(bool usable, TimePoint now) noexcept {
    if (usable == usable_.load(std::memory_order_relaxed)) return;
    if (usable) recovered_ns_.store(now.ns, std::memory_order_relaxed);
    usable_.store(usable, std::memory_order_relaxed);
  }
  bool usable() const noexcept { return usable_.load(std::memory_order_relaxed); }
  TimePoint recovered_at() const noexcept { return TimePoint{recovered_ns_.load(std::memory_order_relaxed)}; }

 private:
  friend class LoadLease;
  std::atomic<std::uint64_t> word_{0};  ///< units in the upper half, requests in the lower: one line, one operation
  std::atomic<std::uint32_t> elsewhere_{0};
  std::atomic<std::uint64_t> started_{0};
  RoomWatch* watch_ = nullptr;
  alignas(64) std::atomic<std::int64_t> last_progress_ns_{0};
  PeakEwma latency_;                                       // written at first contents; read by p2c_ewma's picks only
  alignas(64) std::atomic<std::int64_t> recovered_ns_{0};  ///< 0: was never away
  std::atomic<bool> usable_{true};
};

inline void LoadLease::Release() noexcept {
  if (load_ == nullptr) return;
  EndpointLoad& load = *std::exchange(load_, nullptr);
  load.word_.fetch_sub(place_);
  if (load.watch_ != nullptr && load.watch_->waited_for()) load.watch_->OnRoom();
}

}  // namespace penstock::policy
