#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "penstock/base/address.hpp"
#include "penstock/base/secret.hpp"
#include "penstock/base/time.hpp"

namespace penstock::config {

/// What runs at an endpoint: its health path, metric names, error shapes and quirks.
enum class EndpointKind : std::uint8_t { kAuto, kVllm, kSglang, kTgi, kLlamacpp, kTriton, kOllama, kOpenai };
/// kAuto: ALPN under TLS, HTTP/1.1 in cleartext. kH2 in cleartext is prior knowledge.
enum class UpstreamProtocol : std::uint8_t { kAuto, kHttp1, kH2 };
/// Whether to ask for a stream although the client did not. kAuto: by kind.
enum class StreamUpstream : std::uint8_t { kAuto, kOn, kOff };
enum class BalancerPolicy : std::uint8_t { kRoundRobin, kWeighted, kLeastLoad, kP2cEwma, kConsistentHash };
/// What the first completion of an endpoint is asked for.
enum class WarmupApi : std::uint8_t { kChat, kCompletions, kEmbeddings };
std::string_view Name(EndpointKind kind) noexcept;
std::string_view Name(UpstreamProtocol protocol) noexcept;
std::string_view Name(StreamUpstream mode) noexcept;
std::string_view Name(BalancerPolicy policy) noexcept;
std::string_view Name(WarmupApi api) noexcept;

struct EndpointTls {
  std::string ca;  ///< PEM file; empty: the system's trust store
  bool verify = true;
  std::string server_name;  ///< empty: the URL's host
  friend bool operator==(const EndpointTls&, const EndpointTls&) = default;
};

struct Endpoint {
  Url url;
  std::string name;  ///< never empty after Load() ("host:port" by default); one name means one URL
  std::uint32_t weight = 1;
  std::optional<std::uint32_t> max_concurrency = 256;  ///< nullopt (`auto`): found out from how fast it answers
  std::string zone;
  EndpointKind kind = EndpointKind::kAuto;
  UpstreamProtocol protocol = UpstreamProtocol::kAuto;
  StreamUpstream stream_upstream = StreamUpstream::kAuto;
  bool assistant_prefill = false;  ///< takes `continue_final_message`
  Secret api_key;
  EndpointTls tls;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// What of a request consistent_hash hashes: `header:NAME`, `user`, `session`, `prefix` or `prefix:SIZE`.
struct HashKey {
  enum class Source : std::uint8_t {
    kNone,     ///< not given
    kHeader,   ///< the field `header`
    kUser,     ///< the body's `user`
    kSession,  ///< the first of kSessionHeaders that the request has
    kPrefix,   ///< the first `prefix` bytes of the body's messages, prompt or input, as sent
  };
  static constexpr std::uint64_t kPrefixDefault = 1 * kKiB;
  static constexpr std::uint64_t kPrefixMin = 64;
  static constexpr std::uint64_t kPrefixMax = 64 * kKiB;

  Source source = Source::kNone;
  std::string header;  ///< lower case
  std::uint64_t prefix = kPrefixDefault;
  friend bool operator==(const HashKey&, const HashKey&) = default;
};

/// Names under which clients tell which conversation a request belongs to, the first that is there counts.
inline constexpr std::string_view kSessionHeaders[] = {"x-session-id", "session-id", "session_id", "x-conversation-id",
                                                       "conversation_id"};

struct Balancer {
  BalancerPolicy policy = BalancerPolicy::kLeastLoad;
  HashKey key;
  Duration slow_start{0};  ///< 0: off
};

/// Per worker and endpoint.
struct Connections {
  std::uint32_t min = 0;
  std::uint32_t max = 100;
  std::uint32_t max_streams = 100;
  std::optional<Duration> idle_timeout;  ///< nullopt (`auto`): by kind
  friend bool operator==(const Connections&, const Connections&) = default;
};

/// Before an endpoint joins, at the start and after it was away, it must have given one small answer.
struct Warmup {
  std::string model;  ///< as clients call it; empty: off
  WarmupApi api = WarmupApi::kChat;
  Duration timeout = std::chrono::seconds(30);
  bool enabled() const noexcept { return !model.empty(); }
  friend bool operator==(const Warmup&, const Warmup&) = default;
};

struct HealthCheck {
  std::string path;  ///< empty: by kind
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(1);
  std::uint32_t unhealthy_after = 3;
  std::uint32_t healthy_after = 2;
  Warmup warmup;
  bool metrics = false;  ///< the metrics page is read with each check: EndpointLoad::SetElsewhere
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

struct Timeouts {
  Duration connect = std::chrono::seconds(2);
  Duration headers = std::chrono::seconds(60);
  Duration first_token = std::chrono::seconds(60);
  Duration idle = std::chrono::seconds(60);
  Duration total = std::chrono::seconds(600);
};

/// An event after which another attempt may be made; a value of 400 to 599 is that HTTP status.
enum class RetryCondition : std::uint16_t { kConnect = 1, kReset = 2, kTimeout = 3 };
constexpr RetryCondition RetryOnStatus(int status) { return static_cast<RetryCondition>(status); }

/// Before an endpoint that was asked already is asked again.
struct Backoff {
  Duration base = std::chrono::milliseconds(25);
  Duration max = std::chrono::milliseconds(250);
};

/// Retries <= ratio * requests + min, over the `window` that ends with each (policy/retry_budget.hpp).
struct RetryBudget {
  double ratio = 0.2;
  std::uint32_t min = 3;
  Duration window = std::chrono::seconds(10);
  friend bool operator==(const RetryBudget&, const RetryBudget&) = default;
};

struct Retry {
  std::uint32_t attempts = 2;  ///< all tries on one model, the first included
  std::vector<RetryCondition> on = {RetryCondition::kConnect, RetryCondition::kReset, RetryCondition::kTimeout,
                                    RetryOnStatus(408),       RetryOnStatus(429),     RetryOnStatus(500),
                                    RetryOnStatus(502),       RetryOnStatus(503),     RetryOnStatus(504)};
  bool unproven = true;
  Backoff backoff;
  Duration retry_after_max = std::chrono::seconds(5);
  RetryBudget budget;

  bool Covers(RetryCondition condition) const noexcept;
};

/// When an endpoint that fails is left alone, per model.
struct CircuitBreaker {
  std::uint32_t consecutive_failures = 5;  ///< 0: not by failures in a row
  double failure_ratio = 0.5;              ///< 0: not by their share
  Duration window = std::chrono::seconds(10);
  std::uint32_t min_requests = 20;
  Duration open = std::chrono::seconds(5);
  Duration open_max = std::chrono::seconds(30);
  double max_ejected = 0.5;  ///< of a cluster's endpoints
  friend bool operator==(const CircuitBreaker&, const CircuitBreaker&) = default;
};

/// For requests of which no endpoint has room.
struct Queue {
  std::uint32_t size = 1000;  ///< 0: they are refused at once
  Duration timeout = std::chrono::seconds(10);
};

struct Cluster {
  std::string name;
  std::vector<Endpoint> endpoints;
  Balancer balancer;
  Connections connections;
  HealthCheck health_check;
  Timeouts timeouts;
  Retry retry;
  CircuitBreaker circuit_breaker;
  Queue queue;
};

}  // namespace penstock::config
