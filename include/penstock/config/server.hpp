#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/address.hpp"
#include "penstock/base/time.hpp"

namespace penstock::config {

/// TLS of a listener; without a certificate the listener speaks cleartext. Paths of PEM files.
struct ListenerTls {
  std::string certificate;
  std::string private_key;
  std::string client_ca;  ///< set: clients must show a certificate that it signed

  bool enabled() const noexcept { return !certificate.empty(); }
};

struct Listener {
  SocketAddress address;
  ListenerTls tls;
};

enum class EventLoop : std::uint8_t { kAuto, kEpoll };
std::string_view Name(EventLoop loop) noexcept;

struct Drain {
  Duration delay = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(300);
};

/// A token bucket: `burst` events at once, `per_second` in the long run.
struct EventBudget {
  std::uint32_t burst = 1;
  double per_second = 1;
};

/// What one client, one connection and the whole gateway may use. Sizes in bytes, rates in bytes per second.
/// The defaults lie among those of nginx, HAProxy, nghttpx and Envoy's edge configuration; they are tighter
/// where a known attack is cheap for the client (resets, CVE-2023-44487) and looser where LLM clients need it
/// (bodies of 10 MiB, streams without a limit per connection).
struct Limits {
  /// HTTP/2 connections are dearer to open, so they may idle longer while `idle_timeout` has its default.
  static constexpr Duration kIdleTimeoutDefault = std::chrono::seconds(75);
  static constexpr Duration kIdleTimeoutHttp2 = std::chrono::seconds(180);

  std::uint64_t request_body = 10 * kMiB;
  std::uint64_t response_body = 32 * kMiB;
  std::uint64_t response_hold = 1 * kMiB;
  std::uint64_t header_bytes = 32 * kKiB;
  std::uint32_t header_count = 100;
  std::uint64_t uri = 8 * kKiB;
  std::uint32_t json_depth = 128;
  std::uint64_t sse_event = 1 * kMiB;
  Duration header_timeout = std::chrono::seconds(10);
  Duration body_timeout = std::chrono::seconds(60);
  std::uint64_t body_min_rate = 1 * kKiB;
  Duration slow_reader_timeout = std::chrono::seconds(30);
  Duration idle_timeout = kIdleTimeoutDefault;
  std::uint32_t connections = 10'000;
  std::uint32_t connections_per_ip = 0;
  std::uint32_t requests_per_connection = 0;
  std::uint32_t streams_per_connection_total = 0;
  std::uint32_t streams_per_connection = 100;
  std::uint64_t stream_buffer = 16 * kKiB;
  std::uint64_t buffered_bytes = 128 * kMiB;

  EventBudget resets_received{200, 33};
  EventBudget resets_sent{100, 5};
  EventBudget pings{20, 1};
  EventBudget settings{20, 1};
  EventBudget glitches{1000, 10};
  std::uint32_t empty_frames = 10;
  std::uint32_t continuations = 8;
  std::uint32_t control_frames_queued = 1000;

  Duration http2_idle_timeout() const noexcept {
    return idle_timeout == kIdleTimeoutDefault ? kIdleTimeoutHttp2 : idle_timeout;
  }
};

struct Server {
  std::vector<Listener> listeners;
  std::optional<std::uint32_t> workers;  ///< nullopt (`auto`): one per core the process may run on
  bool pin_workers = true;
  EventLoop event_loop = EventLoop::kAuto;
  Drain drain;
  bool expose_upstream = false;
  bool half_close_is_abort = true;
  std::vector<IpPrefix> trusted_proxies;
  std::vector<std::string> forward_headers;           ///< lower case
  std::vector<std::string> zones;                     ///< this gateway's, then the next nearest; empty: all are equal
  Duration sse_keepalive = std::chrono::seconds(15);  ///< 0: never
  Limits limits;
};

}  // namespace penstock::config
