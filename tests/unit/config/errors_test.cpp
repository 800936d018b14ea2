#include "support.hpp"

namespace penstock::config {
namespace {

struct Case {
  const char* name;
  const char* yaml;
  const char* errors;  ///< complete, in order
};

// What every case below needs and does not talk about.
constexpr const char* kModel = "models: [{name: m, cluster: c}]\n";
constexpr const char* kCluster = "clusters: [{name: c, endpoints: [{url: \"http://h\"}]}]\n";
constexpr const char* kListener = "server: {listeners: [{address: \"127.0.0.1:80\"}]}\n";

std::string Rest(std::string_view yaml) {
  std::string rest;
  const auto has = [&](std::string_view key) {
    return yaml.starts_with(key) || yaml.find("\n" + std::string(key)) != std::string_view::npos;
  };
  if (!has("server:")) rest += kListener;
  if (!has("models:")) rest += kModel;
  if (!has("clusters:")) rest += kCluster;
  return rest;
}

class ConfigErrors : public testing::TestWithParam<Case> {};

TEST_P(ConfigErrors, AreReportedWithPlaceAndPath) {
  const Case& c = GetParam();
  const LoadResult result = LoadText(std::string(c.yaml) + Rest(c.yaml), "f.yaml");
  EXPECT_EQ(Errors(result), c.errors);
  EXPECT_EQ(result.ok(), *c.errors == '\0');
}

std::string CaseName(const testing::TestParamInfo<Case>& info) { return info.param.name; }

// clang-format off
INSTANTIATE_TEST_SUITE_P(Keys, ConfigErrors, testing::Values(
    Case{"Nothing", "", ""},
    Case{"G_02_UnknownTop", "serverr: {}\n", "1:1: serverr: unknown key; did you mean `server`?\n"},
    Case{"G_02_UnknownNested", "log:\n  levle: info\n", "2:3: log.levle: unknown key; did you mean `level`?\n"},
    Case{"G_02_UnknownWithoutNeighbour", "log: {colour: red}\n", "1:7: log.colour: unknown key\n"},
    Case{"G_02_KeyOfALaterVersion", "models: [{name: m, cluster: c, mirror: off}]\n", "1:32: models[0].mirror: unknown key\n"},
    Case{"G_02_Duplicate", "log:\n  level: info\n  prompts: true\n  level: warn\n", "4:3: log.level: is a duplicate key; the first is on line 2\n"},
    Case{"G_02_DuplicateSection", "admin: {}\nlog: {}\nadmin: {}\n", "3:1: admin: is a duplicate key; the first is on line 1\n"},
    Case{"G_02_DuplicateInFlow", "log: {level: info, level: info}\n", "1:20: log.level: is a duplicate key; the first is on line 1\n"},
    Case{"MergeKey", "log: &l {level: info}\nadmin:\n  <<: *l\n", "3:3: admin.`<<`: unknown key\n"},
    Case{"NoValue", "log:\n  level:\n  prompts: true\n", "2:3: log.level: has no value; give it one or remove the key\n"},
    Case{"NoValueAtTheEnd", "admin:\n", "1:1: admin: has no value; give it one or remove the key\n"},
    Case{"NullWord", "log: {level: ~}\n", "1:7: log.level: has no value; give it one or remove the key\n"},
    Case{"ListForSection", "log: [level]\n", "1:6: log: must be a mapping of keys to values, not a list\n"},
    Case{"ScalarForSection", "log: info\n", "1:6: log: must be a mapping of keys to values, not a single value\n"},
    Case{"SectionForScalar", "log: {level: {a: b}}\n", "1:14: log.level: must be a single value, not a mapping\n"},
    Case{"ScalarForList", "server: {listeners: [{address: \"127.0.0.1:1\"}], forward_headers: a}\n", "1:66: server.forward_headers: must be a list, not a single value\n"},
    Case{"Required", "server:\n  workers: 2\n", "2:3: server.listeners: is required\n"},
    Case{"RequiredInElement", "models:\n  - name: m\n", "2:5: models[0].cluster: is required\n"},
    Case{"EmptyList", "server: {listeners: []}\n", "1:21: server.listeners: needs at least 1 element\n"},
    Case{"EmptyEndpoints", "clusters: [{name: c, endpoints: []}]\n", "1:33: clusters[0].endpoints: needs at least 1 element\n"},
    Case{"AllAtOnce", "log:\n  level: loud\n  x: 1\nadmin: {address: here}\n",
         "2:10: log.level: must be one of debug, info, warn, error, got \"loud\"\n"
         "3:3: log.x: unknown key\n"
         "4:18: admin.address: must be IP:PORT, [IPV6]:PORT or unix:/PATH, got \"here\"\n"}), CaseName);

#define IN_SERVER "server:\n  listeners: [{address: \"127.0.0.1:80\"}]\n"

INSTANTIATE_TEST_SUITE_P(Values, ConfigErrors, testing::Values(
    Case{"G_02_DurationWithoutUnit", IN_SERVER "  sse_keepalive: 10\n", "3:18: server.sse_keepalive: needs a unit, as in 250ms, 10s, 5m or 1h, got \"10\"\n"},
    Case{"G_02_DurationWithWrongUnit", IN_SERVER "  sse_keepalive: 10sec\n", "3:18: server.sse_keepalive: must be a whole number and a unit (us, ms, s, m, h), as in 250ms, got \"10sec\"\n"},
    Case{"G_02_DurationOverflow", IN_SERVER "  sse_keepalive: 99999999999999999999s\n", "3:18: server.sse_keepalive: is too large, got \"99999999999999999999s\"\n"},
    Case{"G_02_DurationNegative", IN_SERVER "  sse_keepalive: -5s\n", "3:18: server.sse_keepalive: must not be negative, got \"-5s\"\n"},
    Case{"G_02_DurationNaN", IN_SERVER "  sse_keepalive: .nan\n", "3:18: server.sse_keepalive: must be a whole number and a unit (us, ms, s, m, h), as in 250ms, got \".nan\"\n"},
    Case{"DurationRange", IN_SERVER "  sse_keepalive: 2h\n", "3:18: server.sse_keepalive: must be between 0s and 3600s, got \"2h\"\n"},
    Case{"DurationZeroWithoutUnit", IN_SERVER "  sse_keepalive: 0\n", ""},
    Case{"G_02_SizeWithoutUnit", IN_SERVER "  limits: {uri: 8192}\n", "3:17: server.limits.uri: needs a unit, as in 512B, 64KiB, 10MiB or 1GiB, got \"8192\"\n"},
    Case{"G_02_SizeDecimalUnit", IN_SERVER "  limits: {uri: 8KB}\n", "3:17: server.limits.uri: must be a whole number and a unit (B, KiB, MiB, GiB), as in 64KiB, got \"8KB\"\n"},
    Case{"G_02_SizeOverflow", IN_SERVER "  limits: {uri: 18446744073709551615GiB}\n", "3:17: server.limits.uri: is too large, got \"18446744073709551615GiB\"\n"},
    Case{"SizeRange", IN_SERVER "  limits: {uri: 1B}\n", "3:17: server.limits.uri: must be between 64B and 1MiB, got \"1B\"\n"},
    Case{"G_02_RateWithoutSecond", IN_SERVER "  limits: {body_min_rate: 1KiB}\n", "3:27: server.limits.body_min_rate: must be a whole number and a unit (B/s, KiB/s, MiB/s, GiB/s), as in 1KiB/s, got \"1KiB\"\n"},
    Case{"IntegerRange", IN_SERVER "  workers: 257\n", "3:12: server.workers: must be between 1 and 256, got \"257\"\n"},
    Case{"IntegerZero", IN_SERVER "  workers: 0\n", "3:12: server.workers: must be between 1 and 256, got \"0\"\n"},
    Case{"IntegerWord", IN_SERVER "  workers: many\n", "3:12: server.workers: must be a whole number of decimal digits or auto, got \"many\"\n"},
    Case{"G_02_IntegerOverflow", IN_SERVER "  workers: 4294967297\n", "3:12: server.workers: is too large, got \"4294967297\"\n"},
    Case{"IntegerQuoted", IN_SERVER "  limits: {connections: \"5\"}\n", "3:25: server.limits.connections: must be written without quotes, got \"5\"\n"},
    Case{"IntegerOctal", IN_SERVER "  limits: {connections: 010}\n", "3:25: server.limits.connections: must be a whole number of decimal digits, got \"010\"\n"},
    Case{"G_02_NumberNaN", IN_SERVER "  limits: {pings: {per_second: .nan}}\n", "3:32: server.limits.pings.per_second: must be a decimal number, got \".nan\"\n"},
    Case{"G_02_NumberInfinite", IN_SERVER "  limits: {pings: {per_second: .inf}}\n", "3:32: server.limits.pings.per_second: must be a decimal number, got \".inf\"\n"},
    Case{"NumberNegative", IN_SERVER "  limits: {pings: {per_second: -1}}\n", "3:32: server.limits.pings.per_second: must not be negative, got \"-1\"\n"},
    Case{"NumberRange", IN_SERVER "  limits: {pings: {per_second: 1000000.5}}\n", "3:32: server.limits.pings.per_second: must be between 0 and 1000000, got \"1000000.5\"\n"},
    Case{"NumberBelowOne", IN_SERVER "  limits: {pings: {per_second: 0.5}}\n", ""},
    Case{"BooleanWord", IN_SERVER "  pin_workers: yes\n", "3:16: server.pin_workers: must be true or false, got \"yes\"\n"},
    Case{"BooleanQuoted", IN_SERVER "  pin_workers: \"true\"\n", "3:16: server.pin_workers: must be written without quotes, got \"true\"\n"},
    Case{"LoopOfALaterVersion", IN_SERVER "  event_loop: io_uring\n", "3:15: server.event_loop: must be one of auto, epoll, got \"io_uring\"\n"},
    Case{"ListenerHostName", "server: {listeners: [{address: \"localhost:80\"}]}\n", "1:32: server.listeners[0].address: must be IP:PORT, [IPV6]:PORT or unix:/PATH, got \"localhost:80\"\n"},
    Case{"Prefix", IN_SERVER "  trusted_proxies: [10.0.0.0/8, 10.0.0.1/8]\n", "3:33: server.trusted_proxies[1]: has bits set beyond its prefix, got \"10.0.0.1/8\"\n"},
    Case{"HeaderForbidden", IN_SERVER "  forward_headers: [x-team, Cookie]\n",
         "3:29: server.forward_headers[1]: must be the name of a header that may go upstream (no credentials, cookies, hop-by-hop or x-penstock-*), got \"Cookie\"\n"},
    Case{"HeaderOurs", IN_SERVER "  forward_headers: [X-Penstock-Key]\n",
         "3:21: server.forward_headers[0]: must be the name of a header that may go upstream (no credentials, cookies, hop-by-hop or x-penstock-*), got \"X-Penstock-Key\"\n"},
    Case{"AccessWord", "log: {access: strerr}\n", "1:15: log.access: must be stderr, off or a path that begins with / or ./, got \"strerr\"\n"},
    Case{"AccessPath", "log: {access: /var/log/p.log}\n", ""},
    Case{"ModelNameQuote", "models: [{name: 'a\"b', cluster: c}]\n", "1:17: models[0].name: must be visible ASCII without blanks, \" and \\, got \"a\"b\"\n"},
    Case{"ModelNameEmpty", "models: [{name: '', cluster: c}]\n", "1:17: models[0].name: must be between 1 and 256 bytes, got \"\"\n"},
    Case{"ModelNameIsNumber", "models: [{name: 70, cluster: c}]\n", ""},
    Case{"Url", "clusters: [{name: c, endpoints: [{url: h}]}]\n", "1:40: clusters[0].endpoints[0].url: must begin with http:// or https://\n"},
    Case{"RetryStatus", "clusters: [{name: c, endpoints: [{url: http://h}], retry: {on: [connect, 200]}}]\n",
         "1:74: clusters[0].retry.on[1]: must be connect, reset, timeout or a status of 400 to 599, got \"200\"\n"},
    Case{"LongTextIsCut", "log: {level: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n",
         "1:14: log.level: must be one of debug, info, warn, error, got \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"\n"}),
    CaseName);

#define HASHED(name, key) "  - {name: " name ", endpoints: [{url: http://" name "}], balancer: {policy: consistent_hash, key: " key "}}\n"
#define ENDPOINTS(text) "clusters:\n  - name: c\n    endpoints:\n" text

INSTANTIATE_TEST_SUITE_P(Together, ConfigErrors, testing::Values(
    Case{"ModelWithoutCluster", "models:\n  - {name: m, cluster: d}\n", "2:24: models[0].cluster: names no cluster of this file\n"},
    Case{"ModelTwice", "models: [{name: m, cluster: c}, {name: m, cluster: c}]\n", "1:40: models[1].name: is the same as models[0].name\n"},
    Case{"AliasIsAModel", "models: [{name: m, cluster: c}, {name: n, aliases: [x, m], cluster: c}]\n", "1:56: models[1].aliases[1]: is the same as models[0].name\n"},
    Case{"AliasTwice", "models: [{name: m, aliases: [a, a], cluster: c}]\n", "1:33: models[0].aliases[1]: is the same as models[0].aliases[0]\n"},
    Case{"ClusterTwice", "clusters: [{name: c, endpoints: [{url: http://h}]}, {name: c, endpoints: [{url: http://i}]}]\n", "1:60: clusters[1].name: is the same as clusters[0].name\n"},
    Case{"EndpointTwice", ENDPOINTS("      - url: http://h:80/v1\n      - url: http://H/v1/\n"), "5:14: clusters[0].endpoints[1].url: is the same as clusters[0].endpoints[0].url\n"},
    Case{"EndpointNameTwice", ENDPOINTS("      - {url: http://h, name: a}\n      - {url: http://i, name: a}\n"),
         "5:31: clusters[0].endpoints[1].name: is the name of clusters[0].endpoints[0], which has another url\n"},
    Case{"EndpointNameIsAnothersDefault", ENDPOINTS("      - {url: http://h}\n      - {url: http://i, name: \"h:80\"}\n"),
         "5:31: clusters[0].endpoints[1].name: is the name of clusters[0].endpoints[0], which has another url\n"},
    Case{"EndpointInTwoClusters", "clusters: [{name: c, endpoints: [{url: http://h}]}, {name: d, endpoints: [{url: http://h}]}]\n", ""},
    Case{"TlsOnHttp", ENDPOINTS("      - {url: http://h, tls: {verify: false}}\n"), "4:30: clusters[0].endpoints[0].tls: has no effect on an http:// url\n"},
    Case{"ConnectionsMinMax", ENDPOINTS("      - {url: http://h}\n    connections: {min: 5, max: 4}\n"), "5:24: clusters[0].connections.min: must not be larger than max\n"},
    Case{"HashWithoutKey", ENDPOINTS("      - {url: http://h}\n    balancer: {policy: consistent_hash}\n"), "5:15: clusters[0].balancer.key: is required by policy consistent_hash\n"},
    Case{"KeyWithoutHash", ENDPOINTS("      - {url: http://h}\n    balancer: {key: user}\n"), "5:21: clusters[0].balancer.key: has no effect but with policy consistent_hash\n"},
    Case{"KeysOfEveryKind", "clusters:\n" HASHED("a", "user") HASHED("b", "session") HASHED("c", "prefix") HASHED("d", "prefix:64KiB") HASHED("e", "header:X-Session"), ""},
    Case{"KeyUnknown", "clusters:\n" HASHED("c", "cookie"), "2:86: clusters[0].balancer.key: must be header:NAME, user, session, prefix or prefix:SIZE, got \"cookie\"\n"},
    Case{"KeyHeaderEmpty", "clusters:\n" HASHED("c", "\"header:\""), "2:86: clusters[0].balancer.key: must be header:NAME, user, session, prefix or prefix:SIZE, got \"header:\"\n"},
    Case{"KeyHeaderIsNoToken", "clusters:\n" HASHED("c", "\"header:x y\""), "2:86: clusters[0].balancer.key: must be header:NAME, user, session, prefix or prefix:SIZE, got \"header:x y\"\n"},
    Case{"KeyPrefixWithoutUnit", "clusters:\n" HASHED("c", "prefix:100"), "2:86: clusters[0].balancer.key: has a size that needs a unit, as in 512B, 64KiB, 10MiB or 1GiB, got \"prefix:100\"\n"},
    Case{"KeyPrefixTooLarge", "clusters:\n" HASHED("c", "prefix:1MiB"), "2:86: clusters[0].balancer.key: has a size that must be between 64B and 64KiB, got \"prefix:1MiB\"\n"},
    Case{"SlowStartOfRoundRobin", ENDPOINTS("      - {url: http://h}\n    balancer: {policy: round_robin, slow_start: 10s}\n"),
         "5:49: clusters[0].balancer.slow_start: has no effect with policy round_robin, which regards no weights\n"},
    Case{"SlowStart", ENDPOINTS("      - {url: http://h}\n    balancer: {policy: p2c_ewma, slow_start: 10s}\n"), ""},
    Case{"ZoneTwice", "server: {listeners: [{address: 127.0.0.1:80}], zones: [a, b, a]}\n", "1:62: server.zones[2]: is the same as server.zones[0]\n"},
    Case{"ZonesTooMany", "server: {listeners: [{address: 127.0.0.1:80}], zones: [a, b, c, d, e, f, g, h]}\n", "1:55: server.zones: has 8 elements; at most 7 are taken\n"},
    Case{"WarmupOfNoModel", ENDPOINTS("      - {url: http://h}\n    health_check: {warmup: {model: gone}}\n"), "5:36: clusters[0].health_check.warmup.model: names no model of this cluster (aliases do not count)\n"},
    Case{"WarmupOfAnotherCluster", "models: [{name: m, cluster: d}]\nclusters:\n  - {name: c, endpoints: [{url: http://h}], health_check: {warmup: {model: m}}}\n  - {name: d, endpoints: [{url: http://i}]}\n",
         "3:76: clusters[0].health_check.warmup.model: names no model of this cluster (aliases do not count)\n"},
    Case{"Warmup", "models: [{name: m, cluster: c}]\nclusters: [{name: c, endpoints: [{url: http://h}], health_check: {warmup: {model: m, api: completions, timeout: 5s}}}]\n", ""},
    Case{"WarmupApi", ENDPOINTS("      - {url: http://h}\n    health_check: {warmup: {api: messages}}\n"), "5:34: clusters[0].health_check.warmup.api: must be one of chat, completions, embeddings, got \"messages\"\n"},
    Case{"HealthTimeout", ENDPOINTS("      - {url: http://h}\n    health_check: {interval: 1s, timeout: 2s}\n"), "5:43: clusters[0].health_check.timeout: must not be longer than interval\n"},
    Case{"HealthTimeoutAgainstDefault", ENDPOINTS("      - {url: http://h}\n    health_check:\n      interval: 500ms\n"), "6:7: clusters[0].health_check.timeout: must not be longer than interval\n"},
    Case{"ListenerTwice", "server: {listeners: [{address: \"[::1]:80\"}, {address: \"[0::1]:80\"}]}\n", "1:55: server.listeners[1].address: is the same as server.listeners[0].address\n"},
    Case{"ListenerIsAdmin", "server: {listeners: [{address: \"127.0.0.1:9901\"}]}\n", "1:1: admin.address: is the same as server.listeners[0].address\n"},
    Case{"ListenersOnAnyPort", "server: {listeners: [{address: \"127.0.0.1:0\"}, {address: \"127.0.0.1:0\"}]}\n", ""},
    Case{"TlsWithoutKey", "server:\n  listeners:\n    - address: 127.0.0.1:80\n      tls: {certificate: c.pem}\n", "4:12: server.listeners[0].tls: private_key is missing beside certificate\n"},
    Case{"TlsWithoutCertificate", "server:\n  listeners:\n    - address: 127.0.0.1:80\n      tls: {private_key: k.pem}\n", "4:12: server.listeners[0].tls: certificate is missing beside private_key\n"},
    Case{"TlsClientCaAlone", "server:\n  listeners:\n    - address: 127.0.0.1:80\n      tls: {client_ca: a.pem}\n", "4:12: server.listeners[0].tls: client_ca needs certificate and private_key\n"},
    Case{"AdminNeedsKey", "admin:\n  address: 0.0.0.0:9901\n", "2:12: admin.address: is not a loopback address, so admin.key is required\n"},
    Case{"AdminKeyCannotBeRead", "admin:\n  address: 0.0.0.0:9901\n  key: a b\n", "3:8: admin.key: holds a blank or a byte that is not visible ASCII\n"},
    Case{"AdminWithKey", "admin:\n  address: 0.0.0.0:9901\n  key: abc\n", ""},
    Case{"AdminOnUnixSocket", "admin:\n  address: unix:/run/admin.sock\n", ""},
    Case{"KeysForOtherHosts", "server: {listeners: [{address: \"0.0.0.0:80\"}]}\n", "1:32: server.listeners[0].address: is not a loopback address, so auth.keys or auth.allow_anonymous is required\n"},
    Case{"AnonymousForOtherHosts", "server: {listeners: [{address: \"0.0.0.0:80\"}]}\nauth: {allow_anonymous: true}\n", ""},
    Case{"G_10_KeyInsteadOfItsDigest", "auth: {keys: [{name: t, key_sha256: \"psk-c4n4ry\"}]}\n", "1:37: auth.keys[0].key_sha256: must be 64 hexadecimal digits, as `penstock key hash` prints them\n"},
    Case{"KeyOfNoModel", "auth: {keys: [{name: t, key_sha256: \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", models: [gone]}]}\n", "1:114: auth.keys[0].models[0]: names no model of this file (aliases do not count)\n"},
    Case{"HoldLargerThanBody", IN_SERVER "  limits: {response_hold: 2MiB, response_body: 1MiB}\n", "3:27: server.limits.response_hold: must not be larger than response_body\n"},
    Case{"UriLargerThanHead", IN_SERVER "  limits: {uri: 64KiB}\n", "3:17: server.limits.uri: must not be larger than header_bytes\n"}), CaseName);

INSTANTIATE_TEST_SUITE_P(Anchors, ConfigErrors, testing::Values(
    Case{"AliasIsTaken", "models: [{name: m, cluster: c}, {name: n, cluster: d}]\n"
                         "clusters:\n  - &c\n    name: c\n    endpoints: [{url: http://h}]\n    timeouts: &t {total: 30s}\n"
                         "  - name: d\n    endpoints: [{url: http://i}]\n    timeouts: *t\n", ""},
    Case{"AliasOfABadValue", "models: [{name: m, cluster: c}, {name: n, cluster: d}]\n"
                             "clusters:\n  - name: c\n    endpoints: [{url: http://h}]\n    timeouts: &t {total: 30}\n"
                             "  - name: d\n    endpoints: [{url: http://i}]\n    timeouts: *t\n",
         "5:26: clusters[0].timeouts.total: needs a unit, as in 250ms, 10s, 5m or 1h, got \"30\"\n"
         "5:26: clusters[1].timeouts.total: needs a unit, as in 250ms, 10s, 5m or 1h, got \"30\"\n"}), CaseName);
// clang-format on

TEST(ConfigProblem, PrintsAsCompilersDo) {
  const LoadResult result = LoadText("log: {level: loud}\n" + Rest("log:"), "etc/p.yaml");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.errors[0].ToString(),
            "etc/p.yaml:1:14: log.level: must be one of debug, info, warn, error, got \"loud\"");
}

TEST(ConfigProblem, BytesFromTheFileStayOnOneLine) {
  const LoadResult result = LoadText("log: {level: \"a\\n\\x1b[31mb\", \"x\\ny\": 1}\n" + Rest("log:"), "f");
  EXPECT_EQ(Errors(result),
            "1:14: log.level: must be one of debug, info, warn, error, got \"a??[31mb\"\n"
            "1:30: log.`x?y`: unknown key\n");
}

}  // namespace
}  // namespace penstock::config
