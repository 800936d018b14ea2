#pragma once

#include <cstdint>

#include "penstock/base/time.hpp"
#include "penstock/http/h2_codec.hpp"

namespace penstock::http {

/// Owned by one Worker. A token bucket that fills itself when it is asked.
class H2Bucket {
 public:
  explicit H2Bucket(const H2Limits::Bucket& limit) noexcept : tokens_(limit.burst) {}

  /// False: not enough left, nothing was taken.
  bool Take(const H2Limits::Bucket& limit, TimePoint now, double count) noexcept;
  double tokens() const noexcept { return tokens_; }

 private:
  double tokens_;
  TimePoint filled_{};
};

/// Owned by one Worker. The last 1,000 streams of a connection: which of them were reset before they were of use?
/// The rule is Envoy's for CVE-2023-44487: at least 100 and at least half.
class PrematureResets {
 public:
  static constexpr std::uint32_t kWindow = 1000;
  static constexpr std::uint32_t kLeast = 100;

  /// One more stream is over. False: the rule is broken.
  bool Add(bool premature) noexcept;

 private:
  std::uint64_t bits_[(kWindow + 63) / 64] = {};
  std::uint32_t next_ = 0;
  std::uint32_t size_ = 0;
  std::uint32_t premature_ = 0;
};

/// Why a connection is ended: the label of connections_killed_total, a literal. Null: it is not.
using H2Verdict = const char*;
/// Also what the GOAWAY says: gRPC's clients ping half as often from then on.
inline constexpr H2Verdict kTooManyPings = "too_many_pings";

/// Owned by one Worker. What one peer may still do on its connection: pure counting, no nghttp2 call. Every method
/// that returns a verdict is told once per occurrence; after a verdict the connection must be ended.
class H2Budget {
 public:
  explicit H2Budget(const H2Limits& limits) noexcept;

  static constexpr double kHeaderBombGlitches = 10;
  static constexpr std::int64_t kPrematureWithinNs = 1'000'000'000;

  void set_now(TimePoint now) noexcept { now_ = now; }

  /// gRPC's servers take two PINGs in five minutes from a client without calls, and two strikes more (grpc's
  /// doc/keepalive.md; its transport counts two hours, which clients that keep a proxy's mapping alive do not survive).
  static constexpr H2Limits::Bucket kIdlePings{2, 2 / 300.0};
  static constexpr std::uint32_t kPingStrikesMax = 2;
  /// PINGs that a burst of our DATA allows: gRPC's and hyper's clients measure the path's bandwidth with one per round
  /// trip in which some came.
  static constexpr std::uint32_t kProbesMax = 20;

  /// A frame begins; `length` of its payload, header excluded. PINGs: OnPing.
  H2Verdict OnFrame(std::uint8_t type, std::uint8_t flags, std::size_t length) noexcept;
  /// One that asks for an answer. `idle`: no stream is open.
  H2Verdict OnPing(bool idle) noexcept;
  /// The connection has carried a gRPC call: its client keeps gRPC's rules.
  void OnGrpc() noexcept { grpc_ = true; }
  bool grpc() const noexcept { return grpc_; }
  H2Verdict OnGlitch(double count = 1) noexcept;
  H2Verdict OnResetSent() noexcept;  ///< one that the peer provoked
  H2Verdict OnStreamClosed(bool premature) noexcept;
  H2Verdict OnUnaskedPingAck() noexcept;
  /// After each piece of input; `output_queue` = frames waiting in nghttp2.
  H2Verdict OnFed(std::size_t bytes, std::size_t output_queue) noexcept;
  void OnStreamOpened() noexcept;
  void OnDataSent() noexcept {
    ++data_sent_;
    if (probes_ < kProbesMax) ++probes_;
  }
  void OnBody(std::size_t bytes) noexcept { payload_bytes_ += bytes; }

  /// Three quarters of the glitches are used up, or the last stream allowed was opened: time for a graceful GOAWAY.
  bool wants_goaway() const noexcept;
  std::uint64_t streams_opened() const noexcept { return streams_opened_; }

 private:
  H2Verdict OnEmptyFrame(bool harmless) noexcept;

  H2Limits limits_;
  TimePoint now_{};
  H2Bucket resets_received_;
  H2Bucket resets_sent_;
  H2Bucket glitches_;
  H2Bucket pings_;
  H2Bucket settings_;
  H2Bucket idle_pings_{kIdlePings};
  std::uint32_t ping_strikes_ = 0;
  std::uint32_t probes_ = 0;
  bool grpc_ = false;
  PrematureResets premature_;
  std::uint32_t empty_frames_ = 0;
  std::uint64_t streams_opened_ = 0;
  std::uint64_t data_sent_ = 0;
  std::uint64_t window_updates_ = 0;
  std::uint64_t priorities_ = 0;
  std::uint64_t fed_bytes_ = 0;
  std::uint64_t payload_bytes_ = 0;
};

}  // namespace penstock::http
