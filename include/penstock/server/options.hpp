#pragma once

#include <cstddef>
#include <cstdint>

#include "penstock/base/time.hpp"
#include "penstock/http/h1_server_codec.hpp"
#include "penstock/http/h2_codec.hpp"

namespace penstock::server {

/// Immutable once serving. What limits a downstream connection; CONTRACT `server` and `server.limits`.
struct Options {
  http::H1Limits h1;
  http::H2Limits h2;
  Duration header_timeout =
      std::chrono::seconds(10);  ///< from the first byte; TLS handshake and HTTP/2 preface likewise
  Duration body_timeout = std::chrono::seconds(60);
  std::uint64_t body_min_rate = 1024;                       ///< bytes per second, measured over 10 s
  Duration slow_reader_timeout = std::chrono::seconds(30);  ///< no byte taken; twice that: below 1 KiB/s
  Duration idle_timeout = std::chrono::seconds(75);
  Duration idle_timeout_h2 = std::chrono::seconds(180);
  std::uint32_t requests_per_connection = 0;  ///< 0 = no limit
  std::size_t connections = 10000;            ///< of all workers together
  std::size_t connections_per_ip = 0;         ///< 0 = no limit
  bool half_close_is_abort = true;
};

}  // namespace penstock::server
