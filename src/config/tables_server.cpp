#include "config/field.hpp"
#include "config/tables.hpp"
#include "config/text_rules.hpp"

namespace penstock::config {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Rules kPath = Between(0, 4095);
constexpr Rules kWait = Between(milliseconds(1), hours(24));

}  // namespace

// One row, one line.
// clang-format off
template <>
const SectionType& SectionOf<ListenerTls>() {
  static const Field kFields[] = {
      Key<&ListenerTls::certificate>("certificate", "PEM file of the certificate chain; empty = cleartext", kPath),
      Key<&ListenerTls::private_key>("private_key", "PEM file of its private key", kPath),
      Key<&ListenerTls::client_ca>("client_ca", "PEM file of the authorities that sign client certificates; set = mutual TLS", kPath),
  };
  return MakeSection<ListenerTls>(kFields);
}

template <>
const SectionType& SectionOf<Listener>() {
  static const Field kFields[] = {
      Key<&Listener::address>("address", "IP:PORT, [IPV6]:PORT or unix:/PATH; HTTP/1.1 and HTTP/2 on one port", Rules{}.Required().Restart()),
      Key<&Listener::tls>("tls", "TLS 1.2 and 1.3, with ALPN; changes apply to new handshakes"),
  };
  return MakeSection<Listener>(kFields);
}

template <>
const SectionType& SectionOf<Drain>() {
  static const Field kFields[] = {
      Key<&Drain::delay>("delay", "listeners go on accepting for this long after readiness turned 503", Between(seconds(0), hours(1))),
      Key<&Drain::timeout>("timeout", "after this long running streams are ended", Between(seconds(0), hours(24))),
  };
  return MakeSection<Drain>(kFields);
}

template <>
const SectionType& SectionOf<EventBudget>() {
  static const Field kFields[] = {
      Key<&EventBudget::burst>("burst", "this many at once", Between(1, 1'000'000)),
      Key<&EventBudget::per_second>("per_second", "this many per second in the long run", Between(0, 1'000'000)),
  };
  return MakeSection<EventBudget>(kFields);
}

template <>
const SectionType& SectionOf<Limits>() {
  static const Field kFields[] = {
      Key<&Limits::request_body, SizeFormat>("request_body", "largest request body; beyond: 413", Bytes(kKiB, kGiB)),
      Key<&Limits::response_body, SizeFormat>("response_body", "largest non-stream answer held or put together", Bytes(kKiB, kGiB)),
      Key<&Limits::response_hold, SizeFormat>("response_hold", "a non-stream answer may be retried until complete or this large", Bytes(0, kGiB)),
      Key<&Limits::header_bytes, SizeFormat>("header_bytes", "all header fields of a message; beyond: 431, at twice that the connection is cut", Bytes(kKiB, kMiB)),
      Key<&Limits::header_count>("header_count", "header fields of a message; beyond: 431", Between(8, 10'000)),
      Key<&Limits::uri, SizeFormat>("uri", "request target; beyond: 414", Bytes(64, kMiB)),
      Key<&Limits::json_depth>("json_depth", "nesting of a JSON body; beyond: 400", Between(4, 1024)),
      Key<&Limits::sse_event, SizeFormat>("sse_event", "one event of an upstream stream; beyond: the stream is broken off", Bytes(kKiB, 64 * kMiB)),
      Key<&Limits::header_timeout>("header_timeout", "from the first byte to the end of the head; TLS handshake and HTTP/2 preface likewise", kWait),
      Key<&Limits::body_timeout>("body_timeout", "for the whole request body; beyond: 408", kWait),
      Key<&Limits::body_min_rate, RateFormat>("body_min_rate", "slowest request body over 10 s; 0 = off", Bytes(0, kGiB)),
      Key<&Limits::slow_reader_timeout>("slow_reader_timeout", "a client that takes no byte of its answer for this long, or less than 1KiB a second for twice as long, is cut", kWait),
      Key<&Limits::idle_timeout>("idle_timeout", "idle connections are closed; HTTP/2: 180s while this has its default", kWait),
      Key<&Limits::connections>("connections", "client connections in all", Between(1, 1'000'000)),
      Key<&Limits::connections_per_ip>("connections_per_ip", "client connections per address; 0 = off", Between(0, 1'000'000)),
      Key<&Limits::requests_per_connection>("requests_per_connection", "HTTP/1.1 requests on one connection; 0 = off", Between(0, 1'000'000'000)),
      Key<&Limits::streams_per_connection_total>("streams_per_connection_total", "HTTP/2 streams on one connection in all; 0 = off", Between(0, 1'000'000'000)),
      Key<&Limits::streams_per_connection>("streams_per_connection", "HTTP/2 streams on one connection at a time", Between(1, 10'000)),
      Key<&Limits::stream_buffer, SizeFormat>("stream_buffer", "high watermark per request and direction; grows to 64KiB for readers that keep up", Bytes(kKiB, 64 * kKiB)),
      Key<&Limits::buffered_bytes, SizeFormat>("buffered_bytes", "sum of all such buffers", Bytes(kMiB, 1024 * kGiB)),
      Key<&Limits::resets_received>("resets_received", "HTTP/2 streams a client may reset (rapid reset)"),
      Key<&Limits::resets_sent>("resets_sent", "HTTP/2 streams a client may make us reset"),
      Key<&Limits::pings>("pings", "HTTP/2 PING frames"),
      Key<&Limits::settings>("settings", "HTTP/2 SETTINGS frames"),
      Key<&Limits::glitches>("glitches", "HTTP/2 oddities of every other kind; a graceful GOAWAY at 75 %"),
      Key<&Limits::empty_frames>("empty_frames", "HTTP/2 empty DATA frames in a row", Between(1, 1'000'000)),
      Key<&Limits::continuations>("continuations", "HTTP/2 CONTINUATION frames of one header block", Between(1, 1'000)),
      Key<&Limits::control_frames_queued>("control_frames_queued", "HTTP/2 control frames waiting for a client that does not read", Between(1, 1'000'000)),
  };
  return MakeSection<Limits>(kFields);
}

template <>
const SectionType& SectionOf<Server>() {
  static const Field kFields[] = {
      Key<&Server::listeners>("listeners", "where clients connect", Rules{}.Count(1, 64).Required()),
      Key<&Server::workers>("workers", "threads; auto = one per core the process may run on", Between(1, 256).Restart()),
      Key<&Server::pin_workers>("pin_workers", "each worker on a core of its own", Rules{}.Restart()),
      Key<&Server::event_loop>("event_loop", "kernel interface", Rules{}.Restart()),
      Key<&Server::drain>("drain", "what happens on SIGTERM and POST /admin/drain"),
      Key<&Server::expose_upstream>("expose_upstream", "answer with headers that name the endpoint and the attempts"),
      Key<&Server::half_close_is_abort>("half_close_is_abort", "a client that ends its sending side has gone"),
      Key<&Server::trusted_proxies>("trusted_proxies", "whose X-Forwarded-For counts, hops from the right; they may send any host over TLS", Rules{}.Count(0, 1000)),
      Key<&Server::forward_headers, HeaderNameFormat>("forward_headers", "request headers passed upstream beyond the built-in list", Between(1, 256).Text(kForwardableHeaderRule).Count(0, 64)),
      Key<&Server::zones>("zones", "where this gateway runs, then further zones, the nearest first; endpoints elsewhere come last; empty = zones make no difference", Between(1, 128).Text(kNameRule).Count(0, 7)),
      Key<&Server::sse_keepalive>("sse_keepalive", "comments into a silent stream, after its first event; 0 = never", Between(seconds(0), hours(1))),
      Key<&Server::limits>("limits", "what a client may use"),
  };
  return MakeSection<Server>(kFields);
}
// clang-format on

}  // namespace penstock::config
