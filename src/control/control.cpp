#include "penstock/control/control.hpp"

#include <algorithm>

#include "control/admin_exchange.hpp"
#include "control/breaker_watch.hpp"
#include "control/resource_monitor.hpp"
#include "control/sampler.hpp"
#include "control/variant_watch.hpp"

namespace penstock::control {
namespace {

constexpr Duration kBreakerLook = std::chrono::seconds(1);  // at most so late are changes written

/// The operator's listener is not the clients': its limits are fixed and small.
std::shared_ptr<const server::Options> AdminOptions() {
  server::Options options;
  options.h1.body = 64 * 1024;
  options.connections = 256;
  return std::make_shared<const server::Options>(options);
}

/// As small as requests come, and real: the model runs once.
std::string WarmupBody(const proxy::Snapshot& snapshot, const config::Warmup& warmup) {
  if (!warmup.enabled()) return {};
  const std::string model = R"({"model":)" + snapshot.FindModel(warmup.model)->upstream_json;
  switch (warmup.api) {
    case config::WarmupApi::kChat: break;
    case config::WarmupApi::kCompletions: return model + R"(,"prompt":"Hi","max_tokens":1})";
    case config::WarmupApi::kEmbeddings: return model + R"(,"input":"Hi"})";
  }
  return model + R"(,"messages":[{"role":"user","content":"Hi"}],"max_tokens":1})";
}

}  // namespace

Control::Control(rt::Worker& worker, ControlParts parts)
    : worker_(worker),
      parts_(std::move(parts)),
      workers_(worker, std::move(parts_.workers)),
      reloader_(parts_.config_file, std::move(parts_.snapshot), parts_.registry, parts_.cache.epochs, parts_.metrics,
                parts_.slab, workers_),
      drain_(worker, workers_, parts_.log, parts_.on_drained),
      breakers_(std::make_unique<BreakerWatch>(parts_.slab, parts_.log)),
      variants_(std::make_unique<VariantWatch>(parts_.log)),
      breaker_timer_(this,
                     [](void* self) {
                       auto& control = *static_cast<Control*>(self);
                       control.LookAtBreakers();
                       control.worker_.Arm(control.breaker_timer_, kBreakerLook);
                     }),
      health_(worker, parts_.resolver, parts_.slab, *this),
      resources_(std::make_unique<ResourceMonitor>(
          ResourceMonitor::Parts{.worker = worker,
                                 .workers = workers_,
                                 .memory = parts_.cache.memory.get(),
                                 .metrics = parts_.metrics.overload,
                                 .slab = parts_.slab,
                                 .log = parts_.log,
                                 .rules = [this]() -> const config::Overload& { return running().config.overload; },
                                 .threads = static_cast<unsigned>(workers_.size())})),
      sampler_(std::make_unique<Sampler>(worker, workers_, parts_.registry, [this] { LookAtBreakers(); })),
      server_(std::make_unique<server::Server>(worker, *this, connections_, AdminOptions())) {
  WatchEndpoints();
  worker_.Arm(breaker_timer_, kBreakerLook);
}

Control::~Control() {
  server_.reset();  // connections first: they end the exchanges
}

void Control::Warn(std::string_view line) { parts_.log.Warn(worker_.Wall(), line); }

void Control::NoteRedis(std::string_view server, cache::RedisTrouble trouble) {
  if (trouble == cache::RedisTrouble::kNone) {
    parts_.log.Info(worker_.Wall(), "Redis is used", {{"server", server}});
  } else {
    parts_.log.Warn(worker_.Wall(), "Redis is not used",
                    {{"server", server}, {"reason", cache::RedisTroubleName(trouble)}});
  }
}

void Control::Listen(int fd) { server_->Listen(fd, false, nullptr); }

ReloadOutcome Control::Reload(std::string_view by) {
  telemetry::Logger& log = parts_.log;
  if (draining()) {
    log.Warn(worker_.Wall(), "no reload while draining", {{"by", by}});
    return {{"no reload while draining"}, {}};
  }
  ReloadOutcome outcome = reloader_.Reload();
  for (const std::string& warning : outcome.warnings) log.Warn(worker_.Wall(), warning);
  for (const std::string& problem : outcome.problems) log.Error(worker_.Wall(), problem);
  if (!outcome.ok()) {
    log.Error(worker_.Wall(), "reload failed, the running configuration stays",
              {{"by", by}, {"problems", outcome.problems.size()}});
    return outcome;
  }
  const config::Log& wanted = running().config.log;
  log.set_level(telemetry::ParseLogLevel(config::Name(wanted.level)).value_or(telemetry::LogLevel::kInfo));
  log.set_format(wanted.format == config::LogFormat::kText ? telemetry::LogFormat::kText : telemetry::LogFormat::kJson);
  WatchEndpoints();
  log.Info(worker_.Wall(), "reloaded", {{"by", by}, {"generation", running().generation}});
  return outcome;
}

void Control::BeginDrain(std::string_view by) {
  if (draining()) return;
  parts_.log.Info(worker_.Wall(), "asked to drain", {{"by", by}});
  drain_.Begin(running().config.server.drain);
}

void Control::DrainOrEnd(std::string_view by) {
  if (draining()) {
    drain_.EndNow();
  } else {
    BeginDrain(by);
  }
}

void Control::ReopenLogs() {
  parts_.log_sink.Reopen();
  parts_.log.Info(worker_.Wall(), "logs reopened");
}

void Control::WatchEndpoints() {
  std::vector<upstream::HealthWatch> watches;
  for (const proxy::ClusterRoute& cluster : running().clusters) {
    for (std::size_t i = 0; i < cluster.endpoints.size(); ++i) {
      const config::HealthCheck& check = cluster.config->health_check;
      watches.push_back({cluster.endpoints[i], check, cluster.pools[i], WarmupBody(running(), check.warmup)});
    }
  }
  health_.SetEndpoints(std::move(watches));
}

void Control::OnHealthChanged(const upstream::Endpoint& endpoint, bool usable, std::string_view reason) {
  if (usable) {
    parts_.log.Info(worker_.Wall(), "endpoint is healthy", {{"endpoint", endpoint.name()}});
  } else {
    parts_.log.Warn(worker_.Wall(), "endpoint is unhealthy", {{"endpoint", endpoint.name()}, {"reason", reason}});
  }
}

void Control::OnKindDetected(const upstream::Endpoint& endpoint) {
  parts_.log.Info(worker_.Wall(), "endpoint's kind",
                  {{"endpoint", endpoint.name()}, {"kind", config::Name(endpoint.kind())}});
}

void Control::OnWarmupBegan(const upstream::Endpoint& endpoint) {
  parts_.log.Info(worker_.Wall(), "endpoint warms up", {{"endpoint", endpoint.name()}});
}

void Control::OnWarmupFailed(const upstream::Endpoint& endpoint, std::string_view reason) {
  parts_.log.Warn(worker_.Wall(), "endpoint's warm-up failed", {{"endpoint", endpoint.name()}, {"reason", reason}});
}

void Control::OnChecked(const upstream::Endpoint& endpoint, std::uint32_t good_in_a_row) {
  BreakerWatch::OnChecked(running(), endpoint, good_in_a_row);
}

void Control::LookAtBreakers() {
  breakers_->Look(running(), worker_.Now(), worker_.Wall());
  variants_->Look(running(), worker_.Wall());
}

bool Control::ready() const noexcept {
  if (draining()) return false;
  const auto& clusters = running().clusters;
  return std::any_of(clusters.begin(), clusters.end(), [](const proxy::ClusterRoute& cluster) {
    return std::any_of(cluster.endpoints.begin(), cluster.endpoints.end(),
                       [](const auto& endpoint) { return endpoint->usable(); });
  });
}

server::RequestHandler& Control::OnRequest(server::ResponseStream& stream, http::HeadPtr head, bool body_follows,
                                           bool expect_continue, const Error* reject) {
  auto* exchange = new AdminExchange(*this);  // leaves through Worker::Bury
  exchange->Begin(stream, *head, body_follows, expect_continue, reject);
  return *exchange;
}

}  // namespace penstock::control
