#include "config/field.hpp"
#include "config/tables.hpp"
#include "config/text_rules.hpp"

namespace penstock::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rules kLabel = Between(0, 128).Text(kNameRule);
constexpr Rules kWait = Between(milliseconds(1), hours(24));
constexpr std::int64_t kMany = 1'000'000;

}  // namespace

// One row, one line.
// clang-format off
template <>
const SectionType& SectionOf<EndpointTls>() {
  static const Field kFields[] = {
      Key<&EndpointTls::ca>("ca", "PEM file of the authorities to trust; empty = the system's", Between(0, 4095)),
      Key<&EndpointTls::verify>("verify", "check the endpoint's certificate"),
      Key<&EndpointTls::server_name>("server_name", "name asked for and checked; empty = the URL's host", Between(0, 253).Text(kHostNameRule)),
  };
  return MakeSection<EndpointTls>(kFields);
}

template <>
const SectionType& SectionOf<Endpoint>() {
  static const Field kFields[] = {
      Key<&Endpoint::url>("url", "http:// or https://, host, port, and a path put before every request path", Rules{}.Required()),
      Key<&Endpoint::name>("name", "in metrics and logs; empty = host:port", kLabel),
      Key<&Endpoint::weight>("weight", "share of the traffic; not for policy round_robin", Between(1, 1000)),
      Key<&Endpoint::max_concurrency>("max_concurrency", "requests at a time; auto = as many as it answers without a queue of its own, found out from its latency", Between(1, kMany)),
      Key<&Endpoint::zone>("zone", "where it runs; server.zones says how far that is", kLabel),
      Key<&Endpoint::kind>("kind", "what runs there: health path, metric names, error shapes, quirks; auto = asked in the first health round"),
      Key<&Endpoint::protocol>("protocol", "auto = ALPN under TLS, http1 in cleartext; h2 in cleartext is prior knowledge"),
      Key<&Endpoint::stream_upstream>("stream_upstream", "ask for a stream even when the client did not and rebuild the answer; auto = on for llamacpp"),
      Key<&Endpoint::assistant_prefill>("assistant_prefill", "it goes on with an answer whose beginning is the last message (continue_final_message: vLLM, SGLang); for rescue: continue"),
      Key<&Endpoint::api_key>("api_key", "sent as Authorization: Bearer; inline, ${ENV} or file:PATH"),
      Key<&Endpoint::tls>("tls", "for https:// URLs"),
  };
  return MakeSection<Endpoint>(kFields);
}

template <>
const SectionType& SectionOf<Balancer>() {
  static const Field kFields[] = {
      Key<&Balancer::policy>("policy", "how the next endpoint is chosen"),
      Key<&Balancer::key>("key", "for consistent_hash, what keeps a request's endpoint: header:NAME, user (the body's), session (x-session-id, session-id, session_id, x-conversation-id or conversation_id), prefix or prefix:SIZE (the first 1KiB or SIZE of messages, prompt or input); a request without goes where the load is least"),
      Key<&Balancer::slow_start>("slow_start", "over which the weight of an endpoint that came back rises from a tenth; 0 = at once; not for policy round_robin", Between(seconds(0), hours(1))),
  };
  return MakeSection<Balancer>(kFields);
}

template <>
const SectionType& SectionOf<Connections>() {
  static const Field kFields[] = {
      Key<&Connections::min>("min", "kept open", Between(0, 10'000)),
      Key<&Connections::max>("max", "open at a time", Between(1, 10'000)),
      Key<&Connections::max_streams>("max_streams", "HTTP/2 streams on one connection at a time", Between(1, 10'000)),
      Key<&Connections::idle_timeout>("idle_timeout", "idle ones are closed; auto = 4s for vllm, sglang and llamacpp, 55s otherwise", kWait),
  };
  return MakeSection<Connections>(kFields);
}

template <>
const SectionType& SectionOf<Warmup>() {
  static const Field kFields[] = {
      Key<&Warmup::model>("model", "as clients call it, a model of this cluster; empty = no warm-up", Between(0, 256).Text(kNameRule)),
      Key<&Warmup::api>("api", "which endpoint of the API is asked"),
      Key<&Warmup::timeout>("timeout", "for the whole answer", kWait),
  };
  return MakeSection<Warmup>(kFields);
}

template <>
const SectionType& SectionOf<HealthCheck>() {
  static const Field kFields[] = {
      Key<&HealthCheck::path>("path", "asked with GET; empty = by kind", Between(0, 1024).Text(kRequestTargetRule)),
      Key<&HealthCheck::interval>("interval", "between two checks of an endpoint", Between(milliseconds(10), hours(1))),
      Key<&HealthCheck::timeout>("timeout", "for one check; at most interval", Between(milliseconds(1), hours(1))),
      Key<&HealthCheck::unhealthy_after>("unhealthy_after", "failed checks in a row that take an endpoint out", Between(1, 100)),
      Key<&HealthCheck::healthy_after>("healthy_after", "good checks in a row that bring it back", Between(1, 100)),
      Key<&HealthCheck::metrics>("metrics", "read /metrics of vllm, sglang and tgi with each check, and count what others have running and waiting there as load"),
      Key<&HealthCheck::warmup>("warmup", "a small request, max_tokens 1, that an endpoint must answer before it joins, at the start and after it was away"),
  };
  return MakeSection<HealthCheck>(kFields);
}

template <>
const SectionType& SectionOf<Timeouts>() {
  static const Field kFields[] = {
      Key<&Timeouts::connect>("connect", "TCP and TLS", kWait),
      Key<&Timeouts::headers>("headers", "last request byte to response headers, of streamed requests; includes the backend's queue", kWait),
      Key<&Timeouts::first_token>("first_token", "last request byte to the first content, of streamed requests; includes queue and prefill", kWait),
      Key<&Timeouts::idle>("idle", "between two events of a stream; comments do not count", kWait),
      Key<&Timeouts::total>("total", "the whole request, all attempts; x-penstock-timeout-ms can only shorten it", kWait),
  };
  return MakeSection<Timeouts>(kFields);
}

template <>
const SectionType& SectionOf<Backoff>() {
  static const Field kFields[] = {
      Key<&Backoff::base>("base", "upper end of the first wait; doubles with each try", Between(milliseconds(0), seconds(60))),
      Key<&Backoff::max>("max", "upper end of all of them", Between(milliseconds(0), seconds(60))),
  };
  return MakeSection<Backoff>(kFields);
}

template <>
const SectionType& SectionOf<RetryBudget>() {
  static const Field kFields[] = {
      Key<&RetryBudget::ratio>("ratio", "of the requests of a window", Between(0, 10)),
      Key<&RetryBudget::min>("min", "beyond that", Between(0, kMany)),
      Key<&RetryBudget::window>("window", "over which both are counted", Between(milliseconds(100), hours(1))),
  };
  return MakeSection<RetryBudget>(kFields);
}

template <>
const SectionType& SectionOf<Retry>() {
  static const Field kFields[] = {
      Key<&Retry::attempts>("attempts", "all tries on one model, the first included", Between(1, 10)),
      Key<&Retry::on>("on", "connect, reset, timeout and the statuses after which another try is made", Rules{}.Count(0, 64)),
      Key<&Retry::unproven>("unproven", "retry although the endpoint may have begun (reset, timeout)"),
      Key<&Retry::backoff>("backoff", "random wait before an endpoint that was asked already is asked again"),
      Key<&Retry::retry_after_max>("retry_after_max", "longest Retry-After waited out when no other endpoint has room", Between(seconds(0), seconds(60))),
      Key<&Retry::budget>("budget", "how many retries a cluster that fails is asked to bear; steps to a fallback model are not counted"),
  };
  return MakeSection<Retry>(kFields);
}

template <>
const SectionType& SectionOf<CircuitBreaker>() {
  static const Field kFields[] = {
      Key<&CircuitBreaker::consecutive_failures>("consecutive_failures", "in a row that open it; 0 = not by that", Between(0, kMany)),
      Key<&CircuitBreaker::failure_ratio>("failure_ratio", "share of failures in a window that opens it; 0 = not by that", Between(0, 1)),
      Key<&CircuitBreaker::window>("window", "for failure_ratio", Between(milliseconds(100), hours(1))),
      Key<&CircuitBreaker::min_requests>("min_requests", "in a window before failure_ratio means something", Between(1, kMany)),
      Key<&CircuitBreaker::open>("open", "how long, the first time; doubles with each time after that", Between(milliseconds(10), hours(1))),
      Key<&CircuitBreaker::open_max>("open_max", "the longest", Between(milliseconds(10), hours(1))),
      Key<&CircuitBreaker::max_ejected>("max_ejected", "share of a cluster's endpoints that may be open at a time; the last one never is, but where the model has fallbacks all may be", Between(0, 1)),
  };
  return MakeSection<CircuitBreaker>(kFields);
}

template <>
const SectionType& SectionOf<Queue>() {
  static const Field kFields[] = {
      Key<&Queue::size>("size", "requests that may wait; 0 = none, they are refused at once", Between(0, 100'000)),
      Key<&Queue::timeout>("timeout", "the longest that one waits", kWait),
  };
  return MakeSection<Queue>(kFields);
}

template <>
const SectionType& SectionOf<Cluster>() {
  static const Field kFields[] = {
      Key<&Cluster::name>("name", "what models refer to", Between(1, 128).Text(kNameRule).Required()),
      Key<&Cluster::endpoints>("endpoints", "the servers", Rules{}.Count(1, 1024).Required()),
      Key<&Cluster::balancer>("balancer", "which endpoint is next"),
      Key<&Cluster::connections>("connections", "per worker and endpoint"),
      Key<&Cluster::health_check>("health_check", "active checks"),
      Key<&Cluster::timeouts>("timeouts", "of upstream requests"),
      Key<&Cluster::retry>("retry", "before the first content reached the client"),
      Key<&Cluster::circuit_breaker>("circuit_breaker", "when an endpoint that fails is left alone; per endpoint and model"),
      Key<&Cluster::queue>("queue", "for requests of which no endpoint has room; by x-penstock-priority, fair between keys"),
  };
  return MakeSection<Cluster>(kFields);
}
// clang-format on

}  // namespace penstock::config
