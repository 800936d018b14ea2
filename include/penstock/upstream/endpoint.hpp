#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "penstock/base/xxh64.hpp"
#include "penstock/config/clusters.hpp"
#include "penstock/policy/endpoint_load.hpp"
#include "penstock/policy/endpoint_rest.hpp"
#include "penstock/policy/gradient_limit.hpp"
#include "penstock/telemetry/gateway_metrics.hpp"

namespace penstock::upstream {

/// Shared: the specification is immutable; load with health, and the detected kind are atomics. One per endpoint and
/// process, kept over reloads that do not change its specification.
class Endpoint {
 public:
  /// `watch`: its cluster's; may be null.
  Endpoint(const std::string& cluster, const config::Endpoint& spec, telemetry::MetricRegistry& registry,
           std::shared_ptr<policy::RoomWatch> watch = nullptr)
      : spec_(spec),
        authority_(Authority(spec)),
        watch_(std::move(watch)),
        found_limit({}, Xxh64(spec.name, 0)),
        metrics(registry, cluster, spec.name),
        kind_(spec.kind) {
    load.set_watch(watch_.get());
    if (!spec.api_key.empty()) authorization_ = "Bearer " + std::string(spec.api_key.reveal());
  }

  const config::Endpoint& spec() const noexcept { return spec_; }
  const std::string& name() const noexcept { return spec_.name; }
  const std::string& authority() const noexcept { return authority_; }          ///< of requests to it
  const std::string& authorization() const noexcept { return authorization_; }  ///< secret; empty when it wants none

  /// Requests at a time.
  std::uint32_t limit() const noexcept { return spec_.max_concurrency.value_or(found_limit.limit()); }
  /// For max_concurrency: auto.
  bool finds_limit() const noexcept { return !spec_.max_concurrency.has_value(); }

  /// False while the health checks say no, or the warm-up is owed; written by the thread that probes.
  bool usable() const noexcept { return load.usable(); }
  /// Well, but not to be used before its first answer: a new endpoint of a cluster that warms up, until a probe says
  /// otherwise.
  bool warming() const noexcept { return warming_.load(std::memory_order_relaxed); }
  void set_warming(bool warming) noexcept { warming_.store(warming, std::memory_order_relaxed); }

  /// kAuto until a probe has told what runs there; callers treat kAuto as kOpenai.
  config::EndpointKind kind() const noexcept { return kind_.load(std::memory_order_relaxed); }
  void set_kind(config::EndpointKind kind) noexcept { kind_.store(kind, std::memory_order_relaxed); }

 private:
  /// host, and the port unless it is the scheme's own.
  static std::string Authority(const config::Endpoint& spec) {
    const bool usual = spec.url.port == (spec.url.https ? 443 : 80);
    const std::string full = spec.url.Authority();
    return usual ? full.substr(0, full.rfind(':')) : full;
  }

  config::Endpoint spec_;
  std::string authority_;
  std::string authorization_;
  const std::shared_ptr<policy::RoomWatch> watch_;

 public:
  policy::EndpointLoad load;
  policy::GradientLimit found_limit;  ///< told and read only where finds_limit()
  policy::EndpointRest rest;
  const telemetry::EndpointMetrics metrics;

 private:
  std::atomic<bool> warming_{false};
  std::atomic<config::EndpointKind> kind_;
};

}  // namespace penstock::upstream
