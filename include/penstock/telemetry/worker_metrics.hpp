#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "penstock/telemetry/gateway_metrics.hpp"
#include "penstock/telemetry/series_cache.hpp"

namespace penstock::telemetry {

/// Owned by one Worker. Its slab, and the series that are made when first counted, because route x model x
/// key x status in full would be thousands that never occur. A count is a hash, a compare and an add; the
/// first of its kind takes the registry's mutex.
class WorkerMetrics {
 public:
  explicit WorkerMetrics(const GatewayMetrics& metrics)
      : slab(metrics.registry().OpenSlab()), gateway(metrics), series_(metrics.registry()) {}

  Slab& slab;
  const GatewayMetrics& gateway;

  /// requests_total and request_duration_seconds. `model` and `key` are held by the request's snapshot, or
  /// gateway.other() and gateway.anonymous().
  void CountRequest(std::size_t route, LabelId model, LabelId key, std::uint16_t status, Duration duration);
  void CountTokens(LabelId model, LabelId key, std::uint64_t input, std::uint64_t output);

  // The reasons are string literals, told apart by address: nothing is hashed byte by byte when a peer makes
  // us count. No more than kReasonsMax; what comes later counts as "other".
  void CountProtocolReject(Protocol protocol, const char* reason);
  void CountConnectionKilled(const char* reason);
  void CountStreamInterruption(const char* cause);

  /// When the worker has swapped its snapshot.
  void ForgetSeries() { series_.Clear(); }

  static constexpr std::size_t kReasonsMax = 128;

 private:
  LabelId LabelOf(const char* literal);

  struct Reason {
    const char* literal = nullptr;
    LabelId label = 0;
  };
  SeriesCache series_;
  std::array<Reason, 2 * kReasonsMax> reasons_ = {};  // an open table
  std::size_t reasons_used_ = 0;
};

}  // namespace penstock::telemetry
