#include "config/field.hpp"
#include "config/tables.hpp"
#include "config/text_rules.hpp"

namespace penstock::config {

// One row, one line.
// clang-format off
template <>
const SectionType& SectionOf<Admin>() {
  static const Field kFields[] = {
      Key<&Admin::address>("address", "of the admin listener: IP:PORT, [IPV6]:PORT or unix:/PATH", Rules{}.Restart()),
      Key<&Admin::key>("key", "asked for by everything but /metrics, /healthz and /readyz; required when the address is not loopback; inline, ${ENV} or file:PATH"),
  };
  return MakeSection<Admin>(kFields);
}

template <>
const SectionType& SectionOf<Log>() {
  static const Field kFields[] = {
      Key<&Log::level>("level", "least severe line written"),
      Key<&Log::format>("format", "of the lines on stderr; access lines are always JSON"),
      Key<&Log::access>("access", "where access lines go; a file is reopened on SIGUSR1", Rules{}.Restart()),
      Key<&Log::prompts>("prompts", "at level debug one more line per request, with the first 4 KiB of what was asked and of what was answered"),
  };
  return MakeSection<Log>(kFields);
}

template <>
const SectionType& SectionOf<Variant>() {
  static const Field kFields[] = {
      Key<&Variant::model>("model", "a configured model, by its name", Between(1, 256).Text(kNameRule).Required()),
      Key<&Variant::above>("above", "load of the one before it beyond which new requests move on; 1 = every usable endpoint is full", Between(0, 1)),
      Key<&Variant::below>("below", "load below which they move back; less than above", Between(0, 1)),
  };
  return MakeSection<Variant>(kFields);
}

template <>
const SectionType& SectionOf<Hedge>() {
  static const Field kFields[] = {
      Key<&Hedge::after>("after", "without a first token for so long another endpoint is asked as well, and who begins first answers; off = never, p95 = as long as 95 % of the model's streams need"),
      Key<&Hedge::budget>("budget", "such requests as a share of the model's requests over ten seconds; one is always allowed", Between(0, 1)),
  };
  return MakeSection<Hedge>(kFields);
}

template <>
const SectionType& SectionOf<Model>() {
  static const Rules kName = Between(1, 256).Text(kNameRule);
  static const Field kFields[] = {
      Key<&Model::name>("name", "what clients ask for", kName.Required()),
      Key<&Model::aliases>("aliases", "other names for it", kName.Count(0, 100)),
      Key<&Model::upstream_name>("upstream_name", "what the backends call it; empty = name", Between(0, 256).Text(kUpstreamNameRule)),
      Key<&Model::cluster>("cluster", "which of the clusters serves it", Between(1, 128).Text(kNameRule).Required()),
      Key<&Model::fallbacks>("fallbacks", "models to try, in order, when this one cannot answer", kName.Count(0, 16)),
      Key<&Model::context_window_fallbacks>("context_window_fallbacks", "tried instead when a request is too long for it", kName.Count(0, 16)),
      Key<&Model::rescue>("rescue", "what becomes of a stream that breaks or stalls after its beginning was sent: off = an error event; restart = another endpoint answers anew, what the client has is left out; continue = an endpoint with assistant_prefill is asked for the rest"),
      Key<&Model::hold, OffFormat<CountFormat>>("hold", "tokens of a stream held back until it is committed; what breaks earlier is answered anew, unseen", Between(1, 1024)),
      Key<&Model::hedge>("hedge", "a second request for a stream whose first token is late"),
      Key<&Model::variants>("variants", "cheaper equivalents, and the load at which new requests move to them", Rules{}.Count(0, 8)),
      Key<&Model::revision>("revision", "of what is served under this name; a change makes its stored answers unreachable", Between(0, 256).Text(kNameRule)),
      Key<&Model::cache>("cache", "where it differs from the cache section"),
  };
  return MakeSection<Model>(kFields);
}

template <>
const SectionType& SectionOf<ApiKey>() {
  static const Field kFields[] = {
      Key<&ApiKey::name>("name", "of the tenant, in metrics and the access log", Between(1, 128).Text(kNameRule).Required()),
      Key<&ApiKey::key_sha256>("key_sha256", "SHA-256 of the key; penstock key new makes a key and shows it", Rules{}.Required()),
      Key<&ApiKey::models>("models", "configured names of the models it may use; \"*\" = all", Between(1, 256).Text(kNameRule).Count(0, 10'000)),
      Key<&ApiKey::priority>("priority", "the highest class that x-penstock-priority may ask for with it"),
  };
  return MakeSection<ApiKey>(kFields);
}

template <>
const SectionType& SectionOf<Auth>() {
  static const Field kFields[] = {
      Key<&Auth::keys>("keys", "who may ask; none = everybody, which a listener beyond loopback refuses", Rules{}.Count(0, 10'000)),
      Key<&Auth::allow_anonymous>("allow_anonymous", "serve requests without a key although there are keys, or beyond loopback; a wrong key is refused all the same"),
  };
  return MakeSection<Auth>(kFields);
}

template <>
const SectionType& SectionOf<Config>() {
  static const Field kFields[] = {
      Key<&Config::server>("server", "the side of the clients", Rules{}.Required()),
      Key<&Config::admin>("admin", "metrics, health and control"),
      Key<&Config::log>("log", "logging to stderr"),
      Key<&Config::models>("models", "what is served", Rules{}.Count(1, 10'000).Required()),
      Key<&Config::clusters>("clusters", "who serves it", Rules{}.Count(1, 1'000).Required()),
      Key<&Config::cache>("cache", "answers that are served again"),
      Key<&Config::auth>("auth", "who may ask"),
      Key<&Config::overload>("overload", "when the gateway protects itself"),
  };
  return MakeSection<Config>(kFields);
}
// clang-format on

const SectionType& ConfigSection() { return SectionOf<Config>(); }

}  // namespace penstock::config
