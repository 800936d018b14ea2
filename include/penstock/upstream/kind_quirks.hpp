#pragma once

#include <array>
#include <string_view>

#include "penstock/base/time.hpp"
#include "penstock/config/clusters.hpp"

namespace penstock::upstream {

/// Immutable. What to do differently because of the server that runs at an endpoint (measured; BACKENDS.md 0.2, 2.1).
struct KindQuirks {
  std::string_view health_path = "/health";
  /// The health path is this kind's own: 2xx says ready, all else says not (Triton's 400). Otherwise the path is a
  /// guess, and whatever is no 5xx comes from a living server.
  bool health_path_known = true;
  Duration idle_timeout =
      std::chrono::seconds(55);     ///< for `connections.idle_timeout: auto`; below the server's own keep-alive
  bool reuse_after_chunked = true;  ///< false: closes after every chunked answer, though it promises keep-alive
  /// Gauges of /metrics that are together the requests it has; none: it tells nobody, or is disturbed by the question.
  std::array<std::string_view, 2> load_metrics{};
  bool takes_stream_options = true;  ///< false: may refuse a request that has them
};

/// kAuto is treated as kOpenai.
const KindQuirks& QuirksOf(config::EndpointKind kind) noexcept;

}  // namespace penstock::upstream
