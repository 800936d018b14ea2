#include "http/h2_budget.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>

namespace penstock::http {
namespace {

constexpr std::size_t kFrameHeaderBytes = 9;

}  // namespace

H2Limits H2Limits::ForClient() {
  H2Limits limits;
  limits.header_bytes = 64 * 1024;
  limits.header_count = 256;
  limits.resets_received = {1000, 100};
  limits.pings = {100, 10};
  return limits;
}

bool H2Bucket::Take(const H2Limits::Bucket& limit, TimePoint now, double count) noexcept {
  if (now > filled_) {
    tokens_ = std::min(limit.burst, tokens_ + ToSeconds(now - filled_) * limit.per_second);
    filled_ = now;
  }
  if (tokens_ < count) return false;
  tokens_ -= count;
  return true;
}

bool PrematureResets::Add(bool premature) noexcept {
  std::uint64_t& word = bits_[next_ / 64];
  const std::uint64_t bit = std::uint64_t{1} << (next_ % 64);
  if (size_ == kWindow) {
    premature_ -= (word & bit) != 0 ? 1 : 0;
  } else {
    ++size_;
  }
  next_ = next_ + 1 == kWindow ? 0 : next_ + 1;
  if (!premature) {
    word &= ~bit;
    return true;
  }
  word |= bit;
  ++premature_;
  return premature_ < kLeast || premature_ * 2 < size_;
}

H2Budget::H2Budget(const H2Limits& limits) noexcept
    : limits_(limits),
      resets_received_(limits.resets_received),
      resets_sent_(limits.resets_sent),
      glitches_(limits.glitches),
      pings_(limits.pings),
      settings_(limits.settings) {}

H2Verdict H2Budget::OnEmptyFrame(bool harmless) noexcept {
  if (harmless) {
    empty_frames_ = 0;
    return nullptr;
  }
  return ++empty_frames_ > limits_.empty_frames ? "empty_frames" : nullptr;
}

H2Verdict H2Budget::OnFrame(std::uint8_t type, std::uint8_t flags, std::size_t length) noexcept {
  switch (type) {
    case NGHTTP2_DATA:
      // A body in tiny frames is slow, not junk: its frame headers pass as payload. Padding does not.
      if (length != 0 && (flags & NGHTTP2_FLAG_PADDED) == 0) payload_bytes_ += kFrameHeaderBytes;
      return OnEmptyFrame(length != 0 || (flags & NGHTTP2_FLAG_END_STREAM) != 0);
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION: payload_bytes_ += length; return OnEmptyFrame(length != 0);
    case NGHTTP2_PRIORITY: return ++priorities_ > 100 * (1 + streams_opened_) ? "priority_flood" : nullptr;
    case NGHTTP2_RST_STREAM: return resets_received_.Take(limits_.resets_received, now_, 1) ? nullptr : "rapid_reset";
    case NGHTTP2_SETTINGS:
      if ((flags & NGHTTP2_FLAG_ACK) != 0) return nullptr;  // unasked ones are nghttp2's connection error
      return settings_.Take(limits_.settings, now_, 1) ? nullptr : "too_many_settings";
    case NGHTTP2_WINDOW_UPDATE:
      return ++window_updates_ > 5 + 2 * (streams_opened_ + 10 * data_sent_) ? "window_update_flood" : nullptr;
    default: return nullptr;
  }
}

H2Verdict H2Budget::OnPing(bool idle) noexcept {
  if (idle && grpc_) {
    if (idle_pings_.Take(kIdlePings, now_, 1)) return nullptr;
    return ++ping_strikes_ > kPingStrikesMax ? kTooManyPings : nullptr;
  }
  if (probes_ != 0) {
    --probes_;
    return nullptr;
  }
  return pings_.Take(limits_.pings, now_, 1) ? nullptr : kTooManyPings;
}

void H2Budget::OnStreamOpened() noexcept {
  ++streams_opened_;
  if (!grpc_) return;
  idle_pings_ = H2Bucket(kIdlePings);
  ping_strikes_ = 0;
}

H2Verdict H2Budget::OnGlitch(double count) noexcept {
  return glitches_.Take(limits_.glitches, now_, count) ? nullptr : "glitches";
}

H2Verdict H2Budget::OnResetSent() noexcept {
  return resets_sent_.Take(limits_.resets_sent, now_, 1) ? nullptr : "made_you_reset";
}

H2Verdict H2Budget::OnStreamClosed(bool premature) noexcept {
  return premature_.Add(premature) ? nullptr : "rapid_reset";
}

H2Verdict H2Budget::OnUnaskedPingAck() noexcept {
  return pings_.Take(limits_.pings, now_, 1) ? nullptr : kTooManyPings;
}

H2Verdict H2Budget::OnFed(std::size_t bytes, std::size_t output_queue) noexcept {
  constexpr std::uint64_t kAllowance =
      1024 * 1024;  // nginx, ngx_http_v2_module: total_bytes / 8 > payload_bytes + 1 MiB
  fed_bytes_ += bytes;
  if (output_queue > limits_.control_frames_queued) return "output_flood";
  if (fed_bytes_ > payload_bytes_ && (fed_bytes_ - payload_bytes_) / 8 > payload_bytes_ + kAllowance)
    return "junk_bytes";
  return nullptr;
}

bool H2Budget::wants_goaway() const noexcept {
  return glitches_.tokens() <= limits_.glitches.burst / 4 ||
         (limits_.streams_total != 0 && streams_opened_ >= limits_.streams_total);
}

}  // namespace penstock::http
