#include "sim/routes.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "sim/exchange.hpp"
#include "sim/sim_worker.hpp"

namespace penstock::sim {
namespace {

using http::Method;

constexpr std::string_view kJson = "application/json";

/// The value of `name` in a query string, percent-decoding done; null view when absent.
std::optional<std::string> QueryValue(std::string_view target, std::string_view name) {
  const std::size_t mark = target.find('?');
  std::string_view query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.substr(0, pair.find('=')) != name) continue;
    std::string value;
    for (std::size_t i = std::min(pair.size(), name.size() + 1); i < pair.size(); ++i) {
      unsigned code = 0;
      if (pair[i] == '%' && i + 2 < pair.size() &&
          std::from_chars(&pair[i + 1], &pair[i + 1] + 2, code, 16).ec == std::errc{}) {
        value += static_cast<char>(code);
        i += 2;
      } else {
        value += pair[i] == '+' ? ' ' : pair[i];
      }
    }
    return value;
  }
  return std::nullopt;
}

std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

void Health(Exchange& exchange) {
  Simulation& simulation = exchange.simulation();
  const bool ready = simulation.ready.load(std::memory_order_relaxed);
  const bool llama = simulation.options.kind == Kind::kLlamacpp;
  const std::uint16_t status = ready ? 200 : simulation.traits.not_ready;
  const std::string body = !ready
                               ? ErrorBody(simulation.options.kind, Family::kChat, status, "Loading model", "loading")
                           : llama ? R"({"status":"ok"})"
                                   : "";
  exchange.ReplyLater(simulation.health_ms.load(std::memory_order_relaxed), status, body);
}

void Root(Exchange& exchange) {
  switch (exchange.simulation().options.kind) {
    case Kind::kOllama: exchange.Reply(200, "text/plain; charset=utf-8", "Ollama is running"); return;
    case Kind::kTgi: Health(exchange); return;
    default: exchange.Fail(404, "Not Found", "not_found");
  }
}

std::string ModelJson(std::string_view id) {
  std::string out = R"({"id":")";
  AppendEscaped(out, id);
  return out + R"(","object":"model","created":0,"owned_by":"penstock-sim"})";
}

void Models(Exchange& exchange) {
  const std::string& name = exchange.simulation().options.name;
  std::string out = R"({"object":"list","data":[)" + ModelJson("sim");
  if (name != "sim") out += "," + ModelJson(name);
  exchange.Reply(200, kJson, out + "]}");
}

void Model(Exchange& exchange) {
  const std::string_view id = PathOf(exchange.head().target()).substr(std::string_view("/v1/models/").size());
  if (id == exchange.simulation().options.name || ParseProgram(id)) {
    exchange.Reply(200, kJson, ModelJson(id));
  } else {
    exchange.Fail(404, "The model does not exist.", "model_not_found");
  }
}

void Metrics(Exchange& exchange) {
  if (exchange.simulation().options.kind == Kind::kOllama) return exchange.Fail(404, "404 page not found", "not_found");
  exchange.Reply(200, "text/plain; version=0.0.4; charset=utf-8", MetricsText(exchange.simulation()));
}

void Version(Exchange& exchange) { exchange.Reply(200, kJson, R"({"version":"0.0.0-sim"})"); }

void Properties(Exchange& exchange) {
  const std::uint32_t slots = exchange.simulation().options.slots;
  exchange.Reply(200, kJson,
                 R"({"default_generation_settings":{"n_ctx":131072},"total_slots":)" +
                     std::to_string(slots != 0 ? slots : 4) + R"(,"model_path":"sim.gguf","build_info":"b0-sim"})");
}

void TgiFacts(Exchange& exchange) {
  exchange.Reply(
      200, kJson,
      R"({"model_id":"sim","max_concurrent_requests":)" + std::to_string(exchange.simulation().options.max_concurrent) +
          R"(,"max_input_tokens":131071,"max_total_tokens":131072,"router":"penstock-sim","version":"0.0.0-sim"})");
}

void SglangModel(Exchange& exchange) {
  exchange.Reply(200, kJson, R"({"model_path":"sim","tokenizer_path":"sim","is_generation":true})");
}

void SimStats(Exchange& exchange) { exchange.Reply(200, kJson, StatsJson(exchange.simulation())); }
void SimLast(Exchange& exchange) { exchange.Reply(200, kJson, LastRequestsJson(exchange.simulation())); }

void SimReset(Exchange& exchange) {
  Simulation& simulation = exchange.simulation();
  for (const auto& stats : simulation.stats) stats->Reset();
  for (const auto& recorder : simulation.recorders) recorder->Clear();
  simulation.strikes.Clear();
  simulation.prefixes.Clear();
  exchange.Reply(200, kJson, "{}");
}

/// POST /sim/set?program=...&ready=0|1&health_ms=N
void SimSet(Exchange& exchange) {
  Simulation& simulation = exchange.simulation();
  const std::string_view target = exchange.head().target();
  if (const auto program = QueryValue(target, "program")) {
    if (const auto error = simulation.SetEverything(*program)) return exchange.Fail(400, *error, "invalid_param");
  }
  if (const auto ready = QueryValue(target, "ready")) simulation.ready = *ready != "0";
  if (const auto health = QueryValue(target, "health_ms")) {
    std::uint32_t ms = 0;
    std::from_chars(health->data(), health->data() + health->size(), ms);
    simulation.health_ms = std::min(ms, kMillisecondsMax);
  }
  exchange.Reply(200, kJson, "{}");
}

template <Family family>
void ToModel(Exchange& exchange) {
  exchange.Ask(family);
}

constexpr std::uint32_t Only(std::initializer_list<Kind> kinds) {
  std::uint32_t mask = 0;
  for (const Kind kind : kinds) mask |= 1u << static_cast<unsigned>(kind);
  return mask;
}
constexpr std::uint32_t kEvery = ~0u;

/// Every path of every kind. A path that ends in '/' stands for all below it.
constexpr struct {
  Method method;
  std::string_view path;
  std::uint32_t kinds;
  void (*answer)(Exchange&);
} kRoutes[] = {
    {Method::kPost, "/v1/chat/completions", kEvery, ToModel<Family::kChat>},
    {Method::kPost, "/v1/completions", kEvery, ToModel<Family::kCompletions>},
    {Method::kPost, "/v1/embeddings", kEvery, ToModel<Family::kEmbeddings>},
    {Method::kPost, "/v1/responses", kEvery, ToModel<Family::kResponses>},
    {Method::kPost, "/v1/messages", kEvery, ToModel<Family::kMessages>},
    {Method::kPost, "/v1/messages/count_tokens", kEvery, ToModel<Family::kCountTokens>},
    {Method::kPost, "/v1/rerank", kEvery, ToModel<Family::kRerank>},
    {Method::kPost, "/rerank", kEvery, ToModel<Family::kRerank>},
    {Method::kPost, "/v1/score", kEvery, ToModel<Family::kScore>},
    {Method::kPost, "/score", kEvery, ToModel<Family::kScore>},
    {Method::kPost, "/tokenize", kEvery, ToModel<Family::kTokenize>},
    {Method::kPost, "/detokenize", kEvery, ToModel<Family::kDetokenize>},
    {Method::kGet, "/v1/models", kEvery, Models},
    {Method::kGet, "/v1/models/", kEvery, Model},
    {Method::kGet, "/health", kEvery, Health},
    {Method::kGet, "/v1/health", Only({Kind::kLlamacpp}), Health},
    {Method::kGet, "/health_generate", Only({Kind::kSglang}), Health},
    {Method::kGet, "/health/ready", Only({Kind::kTriton}), Health},
    {Method::kGet, "/v2/health/ready", Only({Kind::kTriton}), Health},
    {Method::kGet, "/v2/health/live", Only({Kind::kTriton}), Health},
    {Method::kGet, "/ping", Only({Kind::kVllm, Kind::kTgi}), Health},
    {Method::kGet, "/", kEvery, Root},
    {Method::kGet, "/metrics", kEvery, Metrics},
    {Method::kGet, "/version", Only({Kind::kVllm}), Version},
    {Method::kGet, "/api/version", Only({Kind::kOllama}), Version},
    {Method::kGet, "/props", Only({Kind::kLlamacpp}), Properties},
    {Method::kGet, "/info", Only({Kind::kTgi}), TgiFacts},
    {Method::kGet, "/get_model_info", Only({Kind::kSglang}), SglangModel},
    {Method::kGet, "/sim/stats", kEvery, SimStats},
    {Method::kGet, "/sim/last", kEvery, SimLast},
    {Method::kPost, "/sim/reset", kEvery, SimReset},
    {Method::kPost, "/sim/set", kEvery, SimSet},
};

bool Matches(std::string_view route, std::string_view path) {
  if (route.size() > 1 && route.back() == '/') return path.size() > route.size() && path.starts_with(route);
  return route == path;
}

}  // namespace

void Route(Exchange& exchange) {
  const Simulation& simulation = exchange.simulation();
  const std::string_view path = PathOf(exchange.head().target());
  const std::uint32_t kind = 1u << static_cast<unsigned>(simulation.options.kind);
  // A llama-server that loads its model answers nothing else.
  const bool loading = simulation.options.kind == Kind::kLlamacpp && !simulation.ready.load(std::memory_order_relaxed);
  if (loading && !path.starts_with("/sim/")) return Health(exchange);
  for (const auto& route : kRoutes) {
    if (route.method == exchange.head().method && (route.kinds & kind) != 0 && Matches(route.path, path))
      return route.answer(exchange);
  }
  exchange.Fail(404, "Not Found", "not_found");
}

}  // namespace penstock::sim
