#include "control/admin_pages.hpp"

#include <cmath>

#include "control/json_page.hpp"
#include "penstock/llm/error_shapes.hpp"
#include "penstock/llm/splice.hpp"
#include "penstock/proxy/variants.hpp"

namespace penstock::control {
namespace {

using llm::QuoteJson;

std::uint64_t MillisecondsUntil(TimePoint then, TimePoint now) {
  return then <= now ? 0 : static_cast<std::uint64_t>(std::chrono::ceil<std::chrono::milliseconds>(then - now).count());
}

std::string_view Name(policy::BreakerState state) {
  switch (state) {
    case policy::BreakerState::kClosed: return "closed";
    case policy::BreakerState::kOpen: return "open";
    case policy::BreakerState::kHalfOpen: return "half-open";
  }
  return "";
}

/// Of each model of the cluster, at its endpoint `index`.
void WriteBreakers(std::string& out, const proxy::Snapshot& snapshot, const proxy::ClusterRoute& cluster,
                   std::size_t index, TimePoint now) {
  out += '{';
  bool first = true;
  for (const proxy::ModelRoute& model : snapshot.models) {
    if (&snapshot.clusters[model.cluster] != &cluster) continue;
    const policy::CircuitBreaker& breaker = (*model.breakers)[index];
    const policy::BreakerState state = breaker.state(now);
    if (!first) out += ',';
    first = false;
    out += QuoteJson(model.name);
    out += ':';
    Members members(out);
    members.Text("state", Name(state));
    members.Number("opened", breaker.opened_total());
    members.Number("open_ms", state == policy::BreakerState::kOpen ? MillisecondsUntil(breaker.open_until(), now) : 0);
    members.End();
  }
  out += '}';
}

void WriteEndpoint(std::string& out, const proxy::Snapshot& snapshot, const proxy::ClusterRoute& cluster,
                   std::size_t index, const telemetry::MetricsReading& reading, TimePoint now) {
  const upstream::Endpoint& endpoint = *cluster.endpoints[index];
  using telemetry::ConnectionState;
  const config::Endpoint& spec = endpoint.spec();
  const auto connections = [&](ConnectionState state) {
    return Sum(reading, endpoint.metrics.connections[static_cast<std::size_t>(state)]);
  };
  Members members(out);
  members.Text("name", endpoint.name());
  members.Text("url", spec.url.ToString());
  members.Text("zone", spec.zone);
  members.Text("kind", config::Name(endpoint.kind()));
  members.Flag("usable", endpoint.usable());
  members.Flag("warming", endpoint.warming());
  members.Number("resting_ms", MillisecondsUntil(endpoint.rest.until(), now));
  WriteBreakers(members.Name("breakers"), snapshot, cluster, index, now);
  members.Number("weight", spec.weight);
  if (spec.max_concurrency.has_value()) {
    members.Number("max_concurrency", *spec.max_concurrency);
  } else {
    members.Text("max_concurrency", "auto");
  }
  members.Number("limit", endpoint.limit());
  members.Number("in_flight", endpoint.load.in_flight());
  members.Number("load", endpoint.load.load());
  members.Number("elsewhere", endpoint.load.elsewhere());
  const double latency = endpoint.load.latency().Estimate(now, endpoint.load.in_flight() == 0);
  members.Number("latency_us", static_cast<std::uint64_t>(1e6 * latency));
  members.Number("started", endpoint.load.started());
  Members states(members.Name("connections"));
  states.Number("connecting", connections(ConnectionState::kConnecting));
  states.Number("active", connections(ConnectionState::kActive));
  states.Number("idle", connections(ConnectionState::kIdle));
  states.End();
  members.End();
}

/// A model and where its requests move under load.
void WriteVariants(std::string& out, const proxy::Snapshot& snapshot, const proxy::ModelRoute& model) {
  Members members(out);
  members.Text("name", model.name);
  members.Text("cluster", snapshot.clusters[model.cluster].config->name);
  std::size_t cluster = model.cluster;
  const auto& rules = snapshot.config.models[static_cast<std::size_t>(&model - snapshot.models.data())].variants;
  std::size_t index = 0;
  WriteList(members.Name("variants"), model.variants, [&](const proxy::VariantRoute& route) {
    Members variant(out);
    variant.Text("model", snapshot.models[route.model].name);
    variant.Flag("moved", route.moved->on());
    variant.Number("times", route.moved->times());
    const double load = proxy::LoadOf(snapshot.clusters[cluster]);  // infinite while nobody is usable
    variant.Flag("usable", std::isfinite(load));
    variant.Ratio("load", std::isfinite(load) ? load : 0);
    variant.Ratio("above", rules[index].above);
    variant.Ratio("below", rules[index].below);
    variant.End();
    cluster = snapshot.models[route.model].cluster;
    ++index;
  });
  members.End();
}

/// By class.
void WriteQueue(std::string& out, const proxy::ClusterRoute& route) {
  Members members(out);
  members.Number("size", route.config->queue.size);
  members.Number("depth", route.queue->depth());
  for (std::size_t i = 0; i < policy::kPriorities; ++i) {
    const auto priority = static_cast<policy::Priority>(i);
    members.Number(policy::PriorityName(priority), route.queue->depth(priority));
  }
  members.End();
}

}  // namespace

std::string VersionPage(const BuildText& build) {
  std::string out;
  Members members(out);
  members.Text("version", build.version);
  members.Text("commit", build.commit);
  members.Text("build", build.build);
  members.Text("event_loop", build.event_loop);
  members.End();
  return out;
}

std::string BackendsPage(const proxy::Snapshot& snapshot, const telemetry::MetricRegistry& registry, bool draining,
                         TimePoint now) {
  const telemetry::MetricsReading reading = registry.Read();
  std::string out;
  Members page(out);
  page.Number("generation", snapshot.generation);
  page.Flag("draining", draining);
  WriteList(page.Name("clusters"), snapshot.clusters, [&](const proxy::ClusterRoute& route) {
    Members cluster(out);
    cluster.Text("name", route.config->name);
    WriteQueue(cluster.Name("queue"), route);
    std::size_t index = 0;
    WriteList(cluster.Name("endpoints"), route.endpoints,
              [&](const auto&) { WriteEndpoint(out, snapshot, route, index++, reading, now); });
    cluster.End();
  });
  WriteList(page.Name("models"), snapshot.models,
            [&](const proxy::ModelRoute& model) { WriteVariants(out, snapshot, model); });
  page.End();
  return out;
}

std::string ReloadPage(const ReloadOutcome& outcome, std::uint64_t generation) {
  std::string out;
  if (outcome.ok()) {
    Members page(out);
    page.Text("status", "ok");
    page.Number("generation", generation);
    WriteList(page.Name("warnings"), outcome.warnings,
              [&out](const std::string& warning) { out += QuoteJson(warning); });
    page.End();
    return out;
  }
  std::string message = "the configuration was not reloaded";
  for (const std::string& problem : outcome.problems) message += "\n" + problem;
  llm::WriteError(
      out, llm::Family::kChat,
      {.message = message, .type = "invalid_request_error", .code = "invalid_config", .param = {}, .request_id = {}});
  return out;
}

}  // namespace penstock::control
